"""Quality cuts: the published catalogue levels, and conditions of the user's own."""

from __future__ import annotations

from enum import StrEnum

import numpy as np

from . import columns as c
from .expressions import evaluate
from .spectrum_set import SpectrumSet

__all__ = ["Quality", "select"]


def _published(teff: float, logg: float, m_h: float) -> str:
    return (
        f"{c.TEFF}/{c.TEFF_ERROR} > {teff} & {c.LOGG_ERROR} < {logg} & {c.M_H_ERROR} < {m_h}"
        f" & 0 < {c.BP_RP} < 4 & 6 < {c.G_MAG} < 17.5"
        f" & {c.STARFLAG} == 0 & ~bits({c.ASPCAPFLAG}, 2, 3)"
    )


class Quality(StrEnum):
    """The three levels of Laroche & Speagle 2025 (ApJ 979, 5), on APOGEE labels."""

    FULL = "full"
    GOOD = "good"
    PRISTINE = "pristine"

    @property
    def condition(self) -> str:
        """The level as a condition on label columns; empty for ``full``, which keeps all."""
        return {
            Quality.FULL: "",
            Quality.GOOD: _published(teff=20, logg=0.4, m_h=0.2),
            Quality.PRISTINE: _published(teff=100, logg=0.1, m_h=0.05),
        }[self]


def select(spectra: SpectrumSet, *conditions: str | Quality) -> np.ndarray:
    """Which stars meet every condition.

    Parameters
    ----------
    spectra : SpectrumSet
        With the label columns that the conditions name.
    *conditions : str or Quality
        A level (``"full"``, ``"good"``, ``"pristine"``) or an expression on the label
        columns, such as ``"bp_rp < 1.5 & parallax/parallax_error > 10"``
        (:mod:`starkin.spectra.expressions`). ``source_id`` counts as a column.

    Returns
    -------
    ndarray of bool, shape (n_stars,)
        ``spectra[select(spectra, "good")]`` are the stars that pass. A missing value
        never passes.

    Raises
    ------
    StarkinError
        If a condition makes no sense or a column that it needs is not there.

    Examples
    --------
    >>> import numpy as np
    >>> from starkin.spectra import SpectrumSet, XPGrid, select
    >>> spectra = SpectrumSet([1, 2, 3], np.zeros((3, 2)), np.ones((3, 2)), XPGrid(1, 1))
    >>> select(spectra.with_labels(bp_rp=[0.5, np.nan, 2.0]), "bp_rp < 1.5")
    array([ True, False, False])
    """
    table = spectra.labels.copy(copy_data=False)
    table[c.SOURCE_ID] = spectra.source_id
    kept = np.ones(len(spectra), dtype=bool)
    for condition in conditions:
        level = condition in set(Quality)
        text = Quality(condition).condition if level else str(condition)
        if text or not level:
            kept &= evaluate(text, table)
    return kept
