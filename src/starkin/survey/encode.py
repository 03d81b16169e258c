"""Spectra of any number to a latent catalogue, in bounded memory."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import pyarrow.parquet as pq

from ..io.arrow import table_to_arrow
from ..io.atomic import atomic_file
from ..io.latents import Latents
from ..models.base import Progress, SpectrumModel
from ..spectra import SpectrumSet, StarkinError

__all__ = ["encode_catalogue"]


def encode_catalogue(
    model: SpectrumModel,
    batches: Iterable[SpectrumSet],
    out: str | os.PathLike[str],
    *,
    n_stars: int = 0,
    progress: Progress | None = None,
) -> int:
    """Encode batch after batch and write the catalogue, whole or not at all.

    Parameters
    ----------
    model : SpectrumModel
        A trained model.
    batches : iterable of SpectrumSet
        From :meth:`Store.batches` or :meth:`SpectrumSet.batches`.
    out : path
        Parquet is written as it comes, one row group a batch; the other table
        formats need the whole catalogue in memory.
    n_stars : int
        How many there will be, for the progress display.
    progress : callable, optional
        Called after each batch.

    Returns
    -------
    int
        Stars written.

    Raises
    ------
    StarkinError
        If there is nothing to encode, or a batch does not fit the model.
    """
    out, done = Path(out), 0
    if out.suffix.lower() != ".parquet":
        parts = [model.encode(batch) for batch in batches]
        if not parts:
            raise StarkinError("There are no spectra to encode.")
        Latents.concatenate(parts).write(out)
        return sum(len(part) for part in parts)
    with atomic_file(out) as path:
        writer: pq.ParquetWriter | None = None
        try:
            for batch in batches:
                arrow = table_to_arrow(model.encode(batch).to_table())
                if writer is None:
                    writer = pq.ParquetWriter(path, arrow.schema, compression="zstd")
                # One header serves all row groups: string widths may differ between batches.
                writer.write_table(arrow.cast(writer.schema))
                done += len(batch)
                if progress is not None:
                    progress(done, max(n_stars, done), f"{done:,} stars")
        finally:
            if writer is not None:
                writer.close()
        if writer is None:
            raise StarkinError("There are no spectra to encode.")
    return done
