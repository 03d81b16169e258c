"""Branches, tracks and gradients of one model's latents, for a comparison."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..io.latents import Latents
from ..latent.gradients import gradient, label_tracks
from ..latent.tracks import (
    ALONG,
    Track,
    branch_classification,
    is_main_sequence,
    purities,
    track,
    track_spectra,
)
from ..models.base import SpectrumModel
from ..spectra import StarkinError, XPGrid, columns
from .compare_data import CompareStars, known_label
from .judge import Judgement, encoded

__all__ = ["judge_evolution"]

_METALLICITIES = (-1.5, -0.6, -0.3, 0.0, 0.5)
_SHORT = {"main sequence": "ms", "giant branch": "gb"}


def judge_evolution(
    judged: Judgement, stars: CompareStars, model: SpectrumModel, latents: Latents, seed: int
) -> None:
    """Purity of the branches, tracks along them (decoded too), metallicity gradients."""
    labels = [known_label(stars.test, name) for name in (columns.TEFF, columns.LOGG, columns.M_H)]
    if any(values is None for values in labels):
        return
    teff, logg, m_h = (np.asarray(values) for values in labels)
    z = encoded(latents)
    known = np.isfinite(teff) & np.isfinite(logg) & latents.usable
    dwarf = is_main_sequence(teff, logg)
    details: dict[str, Any] = {"branches": {}, "tracks": {}, "gradients": {}}
    if min(dwarf[known].sum(), (~dwarf[known]).sum()) >= 20:
        for classifier in ("linear", "rbf"):
            found = purities(
                branch_classification(z[known], dwarf[known], classifier=classifier, seed=seed)  # type: ignore[arg-type]
            )
            details["branches"][classifier] = {k: v.to_dict() for k, v in found.items()}
        judged.row["branch_purity"] = found["main sequence purity"]
    for branch, (along, edges) in ALONG.items():
        on = known & (dwarf if branch == "main sequence" else ~dwarf)
        place = teff if along == columns.TEFF else logg
        try:
            curve = track(z[on], place[on], edges, name=branch, along=along, seed=seed)
        except StarkinError as error:
            details["tracks"][branch] = {"problem": str(error)}
        else:
            metal = label_tracks(
                z[on], place[on], edges, m_h[on], _METALLICITIES, along=along, n_resamples=50
            )
            details["tracks"][branch] = _curve(curve) | {
                "spectra": _spectra(curve, model, stars),
                "metallicity": [_curve(t) for t in metal],
            }
        if (on & np.isfinite(m_h)).sum() >= 50:
            held = np.column_stack([teff, logg])
            slope = gradient(
                z[on], m_h[on], held[on], name=columns.M_H, n_permutations=199, seed=seed
            )
            details["gradients"][branch] = slope.to_dict()
            judged.row[f"gradient_{_SHORT[branch]}"] = slope.correlation
    judged.details["evolution"] = details


def _curve(curve: Track) -> dict[str, Any]:
    return {
        "name": curve.name,
        "along": curve.along,
        "coordinate": curve.coordinate.round(4).tolist(),
        "mean": curve.mean.round(5).tolist(),
        "low": curve.low.round(5).tolist(),
        "high": curve.high.round(5).tolist(),
        "binned": curve.binned.round(5).tolist(),
        "count": curve.count.tolist(),
    }


def _spectra(curve: Track, model: SpectrumModel, stars: CompareStars) -> dict[str, Any] | None:
    """Six nodes decoded; None where the grid or the model's conditions forbid it."""
    grid = stars.test.grid
    if not isinstance(grid, XPGrid) or model.conditions:
        return None
    nm, flux = track_spectra(curve, lambda z: model.decode(z).values, grid)
    nodes = np.linspace(0, len(curve.coordinate) - 1, 6).astype(int)
    return {
        "wavelength": nm.tolist(),
        "coordinate": curve.coordinate[nodes].round(4).tolist(),
        "flux": [[float(f"{v:.5g}") for v in row] for row in flux[nodes]],
    }
