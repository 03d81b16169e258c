"""Spectra of any number to a latent catalogue, in bounded memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path

import numpy as np
import pyarrow as pa
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
    on_flags: Callable[[np.ndarray], None] | None = None,
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
    on_flags : callable, optional
        Told the flags of each batch, shape ``(n_stars,)``.

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
        if on_flags is not None:
            for part in parts:
                on_flags(part.flags)
        Latents.concatenate(parts).write(out)
        return sum(len(part) for part in parts)
    with atomic_file(out) as path, ThreadPoolExecutor(1) as writing:
        writer: pq.ParquetWriter | None = None
        pending: Future[None] | None = None
        try:
            for batch in _ahead(batches):
                latents = model.encode(batch)
                if on_flags is not None:
                    on_flags(latents.flags)
                arrow = table_to_arrow(latents.to_table(), header=writer is None)
                if writer is None:
                    writer = _writer(path, arrow.schema)
                # One header serves all row groups: string widths may differ between batches.
                arrow = arrow.cast(writer.schema)
                if pending is not None:
                    pending.result()
                pending = writing.submit(writer.write_table, arrow)
                done += len(batch)
                if progress is not None:
                    progress(done, max(n_stars, done), f"{done:,} stars")
            if pending is not None:
                pending.result()
        finally:
            if writer is not None:
                wait([] if pending is None else [pending])
                writer.close()
        if writer is None:
            raise StarkinError("There are no spectra to encode.")
    return done


def _ahead(batches: Iterable[SpectrumSet]) -> Iterator[SpectrumSet]:
    """The same batches, each read while the one before is in use."""
    source = iter(batches)
    with ThreadPoolExecutor(1) as reading:
        following = reading.submit(next, source, None)
        while (batch := following.result()) is not None:
            following = reading.submit(next, source, None)
            yield batch


def _writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """Dictionaries only for what repeats: of latents every value is new."""
    repeating = [field.name for field in schema if not pa.types.is_floating(field.type)]
    return pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=repeating)
