"""Latent space: any two latents (or labels) against each other."""

from __future__ import annotations

from bokeh.models import ColorBar

from ..style import MUTED, TEXT
from .scene import Panel, Scene, scatter_panel, set_view

__all__ = ["best_pair", "latent_panel"]


def best_pair(scene: Scene) -> tuple[str, str]:
    """The two latents whose populations' means lie furthest apart, to open the page with."""
    stars = scene.stars
    names = stars.latents
    if len(names) == 1:
        return names[0], names[0]
    spread = {}
    for name in names:
        column = stars.columns[name]
        means = [
            column.values[stars.members(i)].mean()
            for i in range(len(stars.numbers))
            if stars.members(i).any()
        ]
        width = column.high - column.low
        spread[name] = (max(means) - min(means)) / width if len(means) > 1 and width else 0.0
    first, second = sorted(names, key=lambda n: -spread[n])[:2]
    return (first, second) if names.index(first) < names.index(second) else (second, first)


def latent_panel(scene: Scene) -> Panel:
    x, y = best_pair(scene)
    panel = scatter_panel(scene, "latent", x, y)
    set_view(panel, scene, x, y, (False, False))
    bar = ColorBar(
        color_mapper=scene.mapper,
        visible=False,
        width=10,
        title="",
        title_text_color=TEXT,
        title_text_font_style="normal",
        title_text_font_size="11px",
        major_label_text_color=MUTED,
        background_fill_color=None,
        bar_line_color=None,
    )
    assert panel.figure is not None
    panel.figure.add_layout(bar, "right")
    panel.models["bar"] = bar
    panel.meta = {"x": x, "y": y}
    return panel
