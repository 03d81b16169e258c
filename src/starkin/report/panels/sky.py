"""The sky in Galactic coordinates, equal-area."""

from __future__ import annotations

import numpy as np
from bokeh.models import Range1d

from ..stars import hammer
from ..style import FAINT, MUTED
from .scene import Panel, Scene, scatter_panel

__all__ = ["graticule", "sky_panel"]


def graticule() -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Meridians every 60° and parallels every 30°, with the outline, as projected lines."""
    lines = []
    b = np.linspace(-90, 90, 91)
    for meridian in (-179.999, -120, -60, 0, 60, 120, 179.999):
        lines.append(hammer(np.full(b.size, meridian), b))
    longitude = np.linspace(-179.999, 179.999, 181)
    for parallel in (-60, -30, 0, 30, 60):
        lines.append(hammer(longitude, np.full(longitude.size, parallel)))
    xs, ys = zip(*lines, strict=True)
    return list(xs), list(ys)


def sky_panel(scene: Scene) -> Panel:
    if scene.stars.sky is None:
        return Panel("sky", note="No sky map: the catalogue has neither l, b nor ra, dec.")
    panel = scatter_panel(
        scene,
        "sky",
        "sky_x",
        "sky_y",
        x_range=Range1d(-2.95, 2.95),
        y_range=Range1d(-1.5, 1.5),
        match_aspect=True,
    )
    plot = panel.figure
    assert plot is not None
    plot.axis.visible = False
    plot.grid.visible = False
    plot.outline_line_color = None
    xs, ys = graticule()
    plot.multi_line(xs, ys, line_color=FAINT, line_width=1, level="underlay")
    for longitude in (120, 60, 0, 300, 240):
        x, y = hammer(np.array([longitude]), np.array([0.0]))
        _mark(plot, x[0], y[0], f"{longitude}°", y_offset=3, baseline="top")
    for b in (-60, -30, 30, 60):
        x, y = hammer(np.array([179.999]), np.array([float(b)]))
        sign = "+" if b > 0 else "−"
        _mark(plot, x[0], y[0], f"{sign}{abs(b)}°", align="right", x_offset=-5)
    return panel


def _mark(plot, x, y, text, *, align="center", baseline="middle", x_offset=0, y_offset=0) -> None:
    plot.text(
        [x], [y], [text], text_color=MUTED, text_font_size="10px", text_align=align,
        text_baseline=baseline, x_offset=x_offset, y_offset=y_offset, level="overlay",
        background_fill_color="white", background_fill_alpha=0.75, padding=1,
    )  # fmt: skip
