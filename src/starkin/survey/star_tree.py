"""A neighbour-joining tree of chosen test stars, on latents of a model or on abundances."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..io.latents import Latents
from ..latent.phylogeny import like_neighbours, neighbour_joining
from ..spectra import SpectrumSet, StarkinError, columns
from ..spectra.cuts import select
from .compare_settings import TreeEntry

__all__ = ["choose_stars", "judge_tree"]

_SHOWN = (columns.TEFF, columns.LOGG, columns.M_H, columns.ALPHA_M, columns.C_M)


def judge_tree(
    entry: TreeEntry, test: SpectrumSet, latents: Latents | None, seed: int
) -> dict[str, Any]:
    """The tree with its supports, and whether stars of one type stand together on it.

    Parameters
    ----------
    entry : TreeEntry
        What the tree is of.
    test : SpectrumSet
        Stars to choose from.
    latents : Latents or None
        Of the same stars; None where the tree is of labels.
    seed : int
        Of the choice of stars, of the noisy copies and of the permutations.

    Returns
    -------
    dict
        For JSON: ``newick``, supports, the stars with their types and labels, and
        ``alike``, from :func:`~starkin.latent.phylogeny.like_neighbours`.

    Raises
    ------
    StarkinError
        If there are too few stars, a label is missing, or scikit-bio is not installed.
    """
    values, variance = _space(entry, test, latents)
    rows, types = choose_stars(entry, test, np.isfinite(values).all(axis=1), seed)
    names = [str(star) for star in test.source_id[rows]]
    noise = None if variance is None else variance[rows]
    if noise is not None and not np.isfinite(noise).all():
        raise StarkinError("Stars of the tree lack errors; give others, or set n_copies to 0.")
    tree = neighbour_joining(
        values[rows], noise if entry.n_copies else None, names, n_copies=entry.n_copies, seed=seed
    )
    alike = like_neighbours(tree, dict(zip(names, types, strict=True)), seed=seed)
    supports = np.array(list(tree.support.values()))
    shown = [name for name in _SHOWN if test.has_label(name)]
    return {
        "newick": tree.newick,
        "space": list(entry.labels) or "latents",
        "select": entry.select,
        "stars": names,
        "types": list(types),
        "labels": {name: test.label(name)[rows].tolist() for name in shown},
        "n_copies": tree.n_copies,
        "n_branches": len(supports),
        "n_supported": int((supports >= 0.5).sum()),
        "alike": alike.to_dict() if alike is not None else {},
    }


def _space(
    entry: TreeEntry, test: SpectrumSet, latents: Latents | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Coordinates of the test stars, and their covariance or variances."""
    if entry.labels:
        values = np.column_stack([test.label(name) for name in entry.labels])
        errors = [f"{name}_error" for name in entry.labels]
        if not all(test.has_label(name) for name in errors):
            return values, None
        return values, np.column_stack([test.label(name) for name in errors]) ** 2
    assert latents is not None
    usable = np.asarray(latents.usable)
    mean = np.where(usable[:, np.newaxis], latents.mean, np.nan)
    # Latents have no common unit: each counts in standard deviations of the test stars.
    scale = np.nanstd(mean, axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    if latents.covariance.ndim == 2:
        return mean / scale, latents.covariance / scale**2
    return mean / scale, latents.covariance / np.outer(scale, scale)


def choose_stars(
    entry: TreeEntry, test: SpectrumSet, usable: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the stars of a tree, and the type of each.

    Raises
    ------
    StarkinError
        If a star that is named is not there or not usable, or there are fewer than four.
    """
    types = np.full(len(test), "star", dtype=object)
    if test.has_label(entry.types):
        types = np.asarray(test.labels[entry.types]).astype(str).astype(object)
    if isinstance(entry.stars, tuple):
        place = {int(star): row for row, star in enumerate(test.source_id)}
        lost = [star for star in entry.stars if star not in place or not usable[place[star]]]
        if lost:
            raise StarkinError(
                f"Star {lost[0]} of the tree is not among the usable test stars; choose another."
            )
        rows = np.array([place[star] for star in entry.stars])
        return rows, types[rows]
    if entry.select:
        usable = usable & select(test, entry.select)
    draw = np.random.default_rng(seed)
    chosen = []
    for kind in np.unique(types.astype(str)):
        rows = np.flatnonzero(usable & (types == kind))
        chosen.append(np.sort(draw.permutation(rows)[: entry.stars]))
    rows = np.concatenate(chosen)
    if len(rows) < 4:
        raise StarkinError(
            f"Only {len(rows)} test stars are left for the tree; it needs 4: select less strictly."
        )
    return rows, types[rows]
