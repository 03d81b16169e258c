"""What a user points at, as spectra: files, folders, patterns, tables or a store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from astropy.table import Table

from ..io.join_labels import join_labels
from ..io.registry import read
from ..io.store import Store
from ..io.survey_labels import read_labels
from ..spectra import SpectrumSet, StarkinError

__all__ = ["attach_labels", "is_store", "load_spectra", "stream_spectra"]


def is_store(item: Any) -> bool:
    """Whether ``item`` names a store that ``starkin ingest`` made."""
    return isinstance(item, (str, Path)) and (Path(item) / "manifest.json").is_file()


def load_spectra(items: Any, *, labels: str | Path | Table | None = None) -> SpectrumSet:
    """Read everything into memory; unusable rows are left out and listed in ``meta["rejected"]``.

    Parameters
    ----------
    items : path, table, store, or list of paths and tables
        What to read.
    labels : path or Table, optional
        Columns to join by ``source_id`` (photometry, parallaxes, stellar labels).

    Raises
    ------
    StarkinError
        If there is nothing to read or no usable row.
    """
    single = items[0] if isinstance(items, (list, tuple)) and len(items) == 1 else items
    if isinstance(single, SpectrumSet):
        spectra = single
    elif is_store(single):
        spectra = Store.open(single).read()
    else:
        spectra = read(items, on_error="reject")
    if len(spectra) == 0:
        raise StarkinError(f"{items} holds no usable spectrum.")
    return spectra if labels is None else attach_labels(spectra, labels)


def stream_spectra(items: Any, batch: int) -> tuple[int, Iterator[SpectrumSet]]:
    """How many spectra there are, and an iterator over batches of them.

    A store is read batch by batch; files are read whole first.
    """
    single = items[0] if isinstance(items, (list, tuple)) and len(items) == 1 else items
    if is_store(single):
        store = Store.open(single)
        return len(store), store.batches(batch)
    spectra = load_spectra(items)
    return len(spectra), spectra.batches(batch)


def attach_labels(spectra: SpectrumSet, labels: str | Path | Table) -> SpectrumSet:
    """Join columns by the star's id; a star that the table lacks gets missing values.

    A survey's catalogue (APOGEE's allStar, Astra's, GALAH's) is joined by the survey's name of
    the star as well, under our names of its columns.

    Raises
    ------
    StarkinError
        If the table has no ``source_id``, repeats one, or shares none with the spectra.
    """
    table = labels if isinstance(labels, Table) else read_labels(labels)
    name = "the table of labels" if isinstance(labels, Table) else str(labels)
    return join_labels(spectra, table, name)[0]
