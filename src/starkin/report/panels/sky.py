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
    look = {
        "text_color": MUTED,
        "text_font_size": "10px",
        "level": "overlay",
        "background_fill_color": "white",
        "background_fill_alpha": 0.75,
        "padding": 1,
    }
    longitude = np.array([120, 60, 0, 300, 240])
    x, y = hammer(longitude, np.zeros(longitude.size))
    names = [f"{v}°" for v in longitude]
    plot.text(x, y, names, text_align="center", text_baseline="top", y_offset=3, **look)
    latitude = np.array([-60, -30, 30, 60])
    x, y = hammer(np.full(latitude.size, 179.999), latitude)
    names = [f"{'+' if v > 0 else '−'}{abs(v)}°" for v in latitude]
    plot.text(x, y, names, text_align="right", text_baseline="middle", x_offset=-5, **look)
    return panel
