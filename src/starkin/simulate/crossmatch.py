"""What an archive of known objects would say of simulated stars: few of them, some wrongly."""

from __future__ import annotations

import numpy as np
from astropy.table import Table

from ..spectra import SpectrumSet, StarkinError

__all__ = ["simulate_crossmatch"]

#: SIMBAD's code for each simulated class; what a class is not known for stays "*", a star.
OBJECT_TYPE = {
    "field": "*",
    "single": "*",
    "binary": "*",
    "cemp": "Pe*",
    "giant": "RG*",
    "main_sequence": "MS*",
    "carbon": "C*",
    "be": "Be*",
    "eclipsing_binary": "EB*",
    "lpv": "LP*",
    "wd_ms": "WD*",
}


def simulate_crossmatch(
    spectra: SpectrumSet, *, completeness: float = 0.15, wrong: float = 0.05, seed: int = 0
) -> Table:
    """Object types of part of a simulated survey.

    Parameters
    ----------
    spectra : SpectrumSet
        With the label column ``class_name``.
    completeness : float
        Chance that a star of 13th magnitude or brighter is known; it falls to a
        tenth at G = 18. The class ``unknown`` is never known.
    wrong : float
        Part of the entries that carry a random type.
    seed : int
        Of both.

    Returns
    -------
    astropy.table.Table
        ``source_id``, ``main_type`` (SIMBAD's codes).
    """
    if not spectra.has_label("class_name"):
        raise StarkinError("Only simulated spectra, with a column class_name, have known types.")
    rng = np.random.default_rng(seed)
    names = np.asarray(spectra.labels["class_name"], dtype=str)
    types = np.array([OBJECT_TYPE.get(name, "") for name in names])
    fading = 10 ** (-np.clip(spectra.label("phot_g_mean_mag") - 13, 0, 5) / 5)
    listed = (rng.random(len(spectra)) < completeness * fading) & (types != "")
    mistaken = rng.random(len(spectra)) < wrong
    types[mistaken] = rng.choice(sorted(set(OBJECT_TYPE.values())), size=int(mistaken.sum()))
    return Table({"source_id": spectra.source_id[listed], "main_type": types[listed]})
