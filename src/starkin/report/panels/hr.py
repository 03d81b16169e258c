"""Gaia's Hertzsprung–Russell diagram, with the next best where there is no parallax."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from ...spectra import columns
from ..stars import ABSOLUTE_G, MIN_PARALLAX_SNR, StarColumn, Stars
from .scene import Panel, Scene, scatter_panel, set_view

__all__ = ["NEAR_ABSOLUTE_G", "View", "hr_panel", "hr_views", "with_near_stars"]

#: Absolute magnitude of the stars with a good parallax only.
NEAR_ABSOLUTE_G = "absolute_g_near"


@dataclass(frozen=True)
class View:
    """One diagram: columns, whether an axis runs backwards, and what to know about it."""

    title: str
    x: str
    y: str
    flip_x: bool
    flip_y: bool
    note: str


def with_near_stars(stars: Stars) -> None:
    """Add :data:`NEAR_ABSOLUTE_G` to the columns when some stars have good parallaxes."""
    absolute = stars.columns.get(ABSOLUTE_G)
    if absolute is not None and stars.good_parallax.any():
        values = np.where(stars.good_parallax, absolute.values, np.nan)
        stars.columns[NEAR_ABSOLUTE_G] = StarColumn.of(
            NEAR_ABSOLUTE_G,
            values,
            stars.groups,
            label=absolute.label,
            description=absolute.description,
        )


def hr_views(stars: Stars) -> list[View]:
    """The diagrams that the catalogue's columns allow, the best first."""
    n = len(stars)
    views = []
    if columns.BP_RP in stars.columns:
        if NEAR_ABSOLUTE_G in stars.columns:
            near = int(stars.good_parallax.sum())
            how = (
                f"parallax/error > {MIN_PARALLAX_SNR:g}"
                if columns.PARALLAX_ERROR in stars.columns
                else "a positive parallax"
            )
            views.append(
                View(
                    "HR diagram, good parallaxes", columns.BP_RP, NEAR_ABSOLUTE_G, False, True,
                    f"{near:,} of {n:,} stars have {how}. No correction for extinction.",
                )
            )  # fmt: skip
        if ABSOLUTE_G in stars.columns and columns.PARALLAX_ERROR in stars.columns:
            views.append(
                View(
                    "HR diagram, all positive parallaxes", columns.BP_RP, ABSOLUTE_G, False, True,
                    "Stars with poor parallaxes scatter far from their true place. "
                    "No correction for extinction.",
                )
            )  # fmt: skip
        if columns.G_MAG in stars.columns:
            views.append(
                View(
                    "Colour–magnitude diagram", columns.BP_RP, columns.G_MAG, False, True,
                    "Apparent magnitude: distance is not taken out.",
                )
            )  # fmt: skip
    if columns.TEFF in stars.columns and columns.LOGG in stars.columns:
        views.append(
            View(
                "Kiel diagram", columns.TEFF, columns.LOGG, True, True,
                "Labels of the catalogue, not measured by the model.",
            )
        )  # fmt: skip
    return views


def hr_panel(scene: Scene) -> Panel:
    views = hr_views(scene.stars)
    if not views:
        return Panel(
            "hr",
            note="No HR diagram: the catalogue has neither bp_rp with phot_g_mean_mag "
            "nor teff with logg.",
        )
    first = views[0]
    panel = scatter_panel(scene, "hr", first.x, first.y)
    set_view(panel, scene, first.x, first.y, (first.flip_x, first.flip_y))
    panel.meta = {"views": [asdict(view) for view in views]}
    if first.y != NEAR_ABSOLUTE_G:
        panel.note = "No absolute magnitudes: no usable parallax in the catalogue."
    return panel
