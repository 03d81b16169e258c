"""Spectra at another temperature and gravity with their chemistry kept, or the reverse."""

from __future__ import annotations

import numpy as np

from ..io.latents import Latents
from ..models.base import SpectrumModel
from ..spectra import SpectrumSet, StarkinError, columns
from ..spectra.flags import Flag

__all__ = ["edit_spectra", "told", "with_chemistry_of"]


def told(model: SpectrumModel, spectra: SpectrumSet) -> np.ndarray | None:
    """The conditions of a model from the labels of spectra, shape (n_stars, n_conditions)."""
    if not model.conditions:
        return None
    return np.column_stack([spectra.label(name) for name in model.conditions])


def edit_spectra(
    model: SpectrumModel,
    spectra: SpectrumSet,
    *,
    keep_residual: bool = True,
    latents: Latents | None = None,
    **conditions: float | np.ndarray,
) -> SpectrumSet:
    """What stars would look like at other conditions, their chemistry kept.

    With z = E(x, u) and the new conditions u', a new spectrum is x + D(z, u') - D(z, u): what
    the model does not explain of the star stays in it. Without the residual it is D(z, u').

    Parameters
    ----------
    model : SpectrumModel
        One that is told conditions.
    spectra : SpectrumSet
        Stars with these conditions as label columns.
    keep_residual : bool
        See above. The errors stay as they are: the model's own are not added.
    latents : Latents, optional
        Of these spectra, if they are at hand.
    **conditions : float or ndarray, shape (n_stars,)
        New values by label column, in its unit; those that are not given stay.

    Returns
    -------
    SpectrumSet
        With the new labels. All pixels of a star that cannot be encoded are masked; one that
        is asked for conditions outside the trained range is flagged in the column ``flags``.

    Raises
    ------
    StarkinError
        If the model is not told such conditions, or none is given.
    """
    unknown = sorted(set(conditions) - set(model.conditions))
    if unknown or not conditions:
        raise StarkinError(
            f"This model can change {', '.join(model.conditions) or 'no condition'}; "
            + (f"it is not told {unknown[0]!r}." if unknown else "name at least one of them.")
        )
    before = told(model, spectra)
    assert before is not None
    after = before.copy()
    for name, value in conditions.items():
        after[:, model.conditions.index(name)] = value
    latents = model.encode(spectra) if latents is None else latents
    new = dict(zip(model.conditions, after.T, strict=True))
    flags = latents.flags | _outside(model, spectra.with_labels(**new))
    return _drawn(model, spectra, latents.mean, before, after, keep_residual).with_labels(
        **new, **{columns.FLAGS: flags}
    )


def with_chemistry_of(
    model: SpectrumModel,
    spectra: SpectrumSet,
    donors: SpectrumSet,
    *,
    keep_residual: bool = True,
) -> SpectrumSet:
    """What stars would look like with the chemistry of others, temperature and gravity kept.

    x_i + D(z_donor, u_i) - D(z_i, u_i), or D(z_donor, u_i) without the residual.

    Parameters
    ----------
    model : SpectrumModel
        One that is told conditions.
    spectra : SpectrumSet
        Stars to change.
    donors : SpectrumSet
        As many stars, or one for all.
    keep_residual : bool
        Whether what the model does not explain of a star stays in it.

    Raises
    ------
    StarkinError
        If there are neither as many donors as stars nor one.
    """
    if len(donors) not in (1, len(spectra)):
        raise StarkinError(
            f"There are {len(donors)} donors for {len(spectra)} stars; give one each or one."
        )
    given = model.encode(donors).mean
    given = np.broadcast_to(given, (len(spectra), given.shape[1]))
    own = model.encode(spectra).mean
    u = told(model, spectra)
    return _drawn(model, spectra, own, u, u, keep_residual, given)


def _outside(model: SpectrumModel, spectra: SpectrumSet) -> np.ndarray:
    """Flags that a model would give these labels, whatever the spectra; shape (n_stars,)."""
    label_bits = Flag.LABEL_OUT_OF_RANGE | Flag.LABEL_MISSING
    return model.encode(spectra).flags & np.int32(label_bits)


def _drawn(
    model: SpectrumModel,
    spectra: SpectrumSet,
    own: np.ndarray,
    before: np.ndarray | None,
    after: np.ndarray | None,
    keep_residual: bool,
    given: np.ndarray | None = None,
) -> SpectrumSet:
    given = own if given is None else given
    finite = np.isfinite(own).all(axis=1) & np.isfinite(given).all(axis=1)
    for u in (before, after):
        if u is not None:
            finite &= np.isfinite(u).all(axis=1)
    values = np.zeros(spectra.values.shape)
    mask = np.ones(values.shape, dtype=bool)
    rows = np.flatnonzero(finite)
    if rows.size:
        old, new = (None if u is None else u[rows] for u in (before, after))
        drawn = model.decode(given[rows], new).values
        if keep_residual:
            drawn = spectra.values[rows] + drawn - model.decode(own[rows], old).values
            mask[rows] = spectra.mask[rows]
        else:
            mask[rows] = False
        values[rows] = drawn
    errors = np.where(spectra.mask, 1e-4, spectra.errors) if not keep_residual else spectra.errors
    meta = {**spectra.meta, "edited_by": model.model_id, "residual_kept": keep_residual}
    return spectra.replace(values=values, errors=errors, mask=mask, meta=meta)
