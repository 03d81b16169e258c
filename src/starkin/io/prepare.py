"""Files of any survey to one set that a model takes: one grid, at rest, continuum divided out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units as u
from astropy.table import Table

from ..spectra import SpectrumSet, WavelengthGrid, columns
from ..spectra.continuum import Continuum, normalise_continuum
from ..spectra.errors import StarkinError
from ..spectra.quality import looks_normalised, signal_to_noise
from ..spectra.resample import resample
from .join_labels import join_labels
from .pixel_masks import BAD_PIXELS
from .registry import expand, read
from .survey_labels import read_labels

__all__ = ["prepare"]

# Spectra of one grid that are resampled together: a matrix serves all of one velocity.
_TOGETHER = 1024


def prepare(
    items: Any,
    *,
    grid: WavelengthGrid | None = None,
    continuum: Continuum | str = "auto",
    labels: str | os.PathLike[str] | Table | None = None,
    bad_pixels: tuple[str, ...] = BAD_PIXELS,
    format: str | None = None,
    on_error: str = "raise",
    progress: Callable[[int, int], None] | None = None,
) -> SpectrumSet:
    """Read spectra, shift them to rest, resample them and divide by the continuum.

    Parameters
    ----------
    items : path, table or list of them
        As :func:`starkin.io.read` takes, on as many grids as there are files. Files of one
        star's cameras (GALAH) become one spectrum.
    grid : WavelengthGrid, optional
        Onto which to resample; without it all files must be on one grid, at rest.
    continuum : Continuum or {"auto", "polynomial", "quantile", "known", "none"}
        How to find the continuum (:mod:`starkin.spectra.continuum`); ``"known"`` divides by the
        one that the files bring (mwmStar, mwmVisit, tables with a column ``continuum``);
        ``"auto"`` is a polynomial, or none for spectra that are normalised already.
    labels : path or Table, optional
        A catalogue (allStar, GALAH's, any table with ``source_id``), joined by the star's id;
        it may bring the radial velocities.
    bad_pixels : tuple of str
        Bits of APOGEE_PIXMASK that mask a pixel.
    format : str, optional
        One of :func:`starkin.io.formats`.
    on_error : {"raise", "reject"}
        Fail at the first unusable file or row, or leave it out and list it in
        ``meta["rejected"]`` (rows) and ``meta["unreadable"]`` (files).
    progress : callable, optional
        Called with the files done and their number.

    Returns
    -------
    SpectrumSet
        With a label ``snr``; ``meta["without_labels"]`` counts stars that the catalogue lacks.

    Raises
    ------
    StarkinError
        One sentence naming the file and what to do.
    """
    if continuum in ("polynomial", "quantile"):
        continuum = Continuum(str(continuum))
    if isinstance(continuum, str) and continuum not in ("auto", "known", "none"):
        raise StarkinError(
            f"continuum must be auto, polynomial, quantile, known or none, got {continuum!r}."
        )
    table, name = _labels(labels)
    pieces = _read_all(items, format, on_error, tuple(bad_pixels), continuum == "known", progress)
    unreadable = [text for text in pieces if isinstance(text, str)]
    sets = [piece for piece in pieces if isinstance(piece, SpectrumSet)]
    if not sets:
        raise StarkinError(unreadable[0] if unreadable else f"{items} holds no spectra.")
    lacking, ready = 0, []
    how = _decided(sets[0], continuum)
    for batch in _batches(sets, changed=how is not None or grid is not None):
        if not batch.has_label(columns.SNR):
            batch = batch.with_labels(**{columns.SNR: signal_to_noise(batch)})
        if table is not None:
            batch, missing = join_labels(batch, table, name)
            lacking += missing
        batch = _at_rest(batch, grid)
        ready.append(batch if how is None else normalise_continuum(batch, how))
    spectra = ready[0] if len(ready) == 1 else SpectrumSet.concatenate(ready)
    spectra = _one_row_a_star(spectra)
    meta = dict(spectra.meta)
    meta["files"] = [file for piece in sets for file in piece.meta.get("files", [])]
    meta["rejected"] = [row for piece in sets for row in piece.meta.get("rejected", [])]
    for key, count in (("without_labels", lacking), ("unreadable", unreadable)):
        if count:
            meta[key] = count
    return spectra.replace(meta=meta)


def _labels(labels: str | os.PathLike[str] | Table | None) -> tuple[Table | None, str]:
    if labels is None or isinstance(labels, Table):
        return labels, "the table of labels"
    return read_labels(Path(labels)), str(labels)


def _read_all(
    items: Any,
    format: str | None,
    on_error: str,
    bad_pixels: tuple[str, ...],
    known_continuum: bool,
    progress: Callable[[int, int], None] | None,
) -> list[SpectrumSet | str]:
    """Each file's set, or the sentence that says why it cannot be read."""
    files = expand(items)
    pieces: list[SpectrumSet | str] = []
    for i, item in enumerate(files):
        try:
            piece = item if isinstance(item, SpectrumSet) else read(
                item,
                format=format,
                on_error=on_error,
                bad_pixels=bad_pixels,
                known_continuum=known_continuum,
            )  # fmt: skip
            if not isinstance(piece.grid, WavelengthGrid):
                raise StarkinError(
                    f"{item} holds {piece.grid.describe()}, which need no preparing."
                )
            pieces.append(piece)
        except StarkinError as error:
            if on_error == "raise":
                raise
            pieces.append(str(error))
        if progress is not None:
            progress(i + 1, len(files))
    return pieces


def _batches(sets: list[SpectrumSet], *, changed: bool) -> Iterator[SpectrumSet]:
    """Sets of one grid and unit joined, in order, so that few matrices serve many stars.

    Large sets are cut where they will be ``changed``, so that no step holds them twice.
    """
    waiting: list[SpectrumSet] = []
    for piece in sets:
        first = waiting[0] if waiting else piece
        fits = first.grid == piece.grid and first.unit == piece.unit
        if waiting and (not fits or sum(map(len, waiting)) + len(piece) > _TOGETHER):
            yield _joined(waiting)
            waiting = []
        if changed and len(piece) > _TOGETHER:
            yield from piece.batches(_TOGETHER)
        else:
            waiting.append(piece)
    if waiting:
        yield _joined(waiting)


def _joined(sets: list[SpectrumSet]) -> SpectrumSet:
    return sets[0] if len(sets) == 1 else SpectrumSet.concatenate(sets)


def _at_rest(spectra: SpectrumSet, grid: WavelengthGrid | None) -> SpectrumSet:
    if grid is not None:
        return resample(spectra, grid)
    source = spectra.grid
    assert isinstance(source, WavelengthGrid)
    if source.frame != "rest":
        raise StarkinError(
            f"{spectra.meta.get('files', ['The spectra'])[0]} is in the {source.frame} frame; "
            "name a grid to resample onto (--grid)."
        )
    return spectra


def _one_row_a_star(spectra: SpectrumSet) -> SpectrumSet:
    """Cameras of one star put together; a star met twice otherwise is an error."""
    ids, first, where = np.unique(spectra.source_id, return_index=True, return_inverse=True)
    if ids.size == len(spectra):
        return spectra
    if not spectra.has_label(columns.CAMERA):
        twice = ids[np.bincount(where) > 1][0]
        raise StarkinError(
            f"Star {twice} comes {np.bincount(where).max()} times; keep one spectrum a star."
        )
    # Each camera has its own stretch; where two meet, the inverse variances weigh them.
    ivar = np.where(spectra.mask, 0, spectra.errors.astype(np.float64) ** -2)
    total, weighted = (np.zeros((ids.size, spectra.n_pixels)) for _ in range(2))
    np.add.at(total, where, ivar)
    np.add.at(weighted, where, ivar * spectra.values)
    mask = total == 0
    safe = np.where(mask, 1, total)
    keep = np.sort(first)
    order = np.argsort(first, kind="stable")
    kind = spectra.values.dtype
    labels = spectra.labels[keep]
    labels.remove_column(columns.CAMERA)
    return spectra.replace(
        source_id=ids[order],
        values=np.where(mask, 0, weighted / safe)[order].astype(kind),
        errors=np.where(mask, 1, 1 / np.sqrt(safe))[order].astype(kind),
        mask=mask[order],
        labels=labels,
    )


def _decided(first: SpectrumSet, continuum: Continuum | str) -> Continuum | None:
    """How the continuum is found, if at all; one way for all stars, decided by the first set."""
    if isinstance(continuum, Continuum):
        return continuum
    if continuum == "auto":
        done = first.unit == u.dimensionless_unscaled and looks_normalised(first).mean() > 0.5
        return None if done else Continuum()
    return None
