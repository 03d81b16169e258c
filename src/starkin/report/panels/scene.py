"""What the linked panels share: the stars' data source, the colours, the marked star."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from bokeh.models import (
    BoxSelectTool,
    ColumnDataSource,
    HoverTool,
    LassoSelectTool,
    LinearColorMapper,
    Model,
    PanTool,
    Range1d,
    ResetTool,
    SaveTool,
    Scatter,
    TapTool,
    WheelZoomTool,
)
from bokeh.plotting import figure

from ...latent.discovery import Discovery
from ..stars import Packed, Stars
from ..style import ACCENT, FAINT, GRID, MUTED, NOISE, TEXT, colour

__all__ = ["Panel", "Scene", "plain_figure", "scatter_panel", "set_view"]


@dataclass
class Panel:
    """A figure with its models for the scripts, or a note on why there is none."""

    name: str
    figure: Model | None = None
    note: str = ""
    models: dict[str, Any] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Scene:
    """One set of stars drawn in several panels.

    Attributes
    ----------
    source : ColumnDataSource
        Coordinates of the first view [float32] and ``shade``, the number that
        gives the colour. The page's script adds the unpacked labels.
    packed : ColumnDataSource
        Labels in 16 bits and the two halves of the source id.
    pin : ColumnDataSource
        The star under the pointer or searched for: one row at most.
    mapper : LinearColorMapper
    """

    discovery: Discovery
    stars: Stars
    source: ColumnDataSource
    packed: ColumnDataSource
    scales: dict[str, Packed]
    pin: ColumnDataSource
    mapper: LinearColorMapper

    @classmethod
    def of(cls, discovery: Discovery, stars: Stars, direct: dict[str, np.ndarray]) -> Scene:
        """``direct`` are the coordinates that panels draw before the script has run."""
        data = {name: values.astype(np.float32) for name, values in direct.items()}
        data["shade"] = stars.position.astype(np.float32)
        data["faint"] = faint_sizes(len(stars))
        scales = {n: Packed.of(stars.columns[n].values) for n in stars.labels}
        ids = stars.source_id.astype(np.int64).view(np.uint64)
        packed = {name: scale.code for name, scale in scales.items()}
        packed["id_high"] = (ids >> np.uint64(32)).astype(np.uint32)
        packed["id_low"] = (ids & np.uint64(0xFFFFFFFF)).astype(np.uint32)
        packed["flags"] = stars.flags.astype(np.int32)
        k = len(stars.numbers)
        return cls(
            discovery=discovery,
            stars=stars,
            source=ColumnDataSource(data),
            packed=ColumnDataSource(packed),
            scales=scales,
            pin=ColumnDataSource({name: [] for name in _PIN}),
            mapper=LinearColorMapper(
                palette=[NOISE, *(colour(i) for i in range(k))],
                low=-1.5,
                high=k - 0.5,
                nan_color=FAINT,
            ),
        )


#: More stars than this are drawn smaller and fainter.
MANY = 10_000
#: While some stars are selected, at most about this many of the others are drawn by a browser
#: without a GPU, for which 60,000 in each map take more than a second.
_FAINT = 12_000


def _size(n_stars: int) -> float:
    return 3.0 if n_stars > MANY else 4.5


def faint_sizes(n_stars: int) -> np.ndarray:
    """Sizes of the stars outside a selection, shape (n_stars,); NaN is not drawn."""
    sizes = np.full(n_stars, np.nan, dtype=np.float32)
    sizes[:: -(-n_stars // _FAINT) or 1] = _size(n_stars)
    return sizes


_PIN = tuple(f"{panel}_{axis}" for panel in ("latent", "hr", "sky") for axis in "xy")


def plain_figure(x_label: str, y_label: str, **more: Any) -> figure:
    """An empty figure in the page's style, filling the box that the page gives it."""
    more.setdefault("sizing_mode", "stretch_both")
    more.setdefault("toolbar_location", None)
    more.setdefault("tools", "")
    more.setdefault("min_border", 4)
    # Opaque, or a canvas that is laid out anew keeps the old ticks under the new ones.
    plot = figure(background_fill_color="white", border_fill_color="white", **more)
    plot.outline_line_color = FAINT
    plot.xaxis.axis_label = x_label
    plot.yaxis.axis_label = y_label
    for axis in (*plot.xaxis, *plot.yaxis):
        axis.axis_label_text_font_style = "normal"
        axis.axis_label_text_font_size = "12px"
        axis.axis_label_text_color = TEXT
        axis.major_label_text_color = MUTED
        axis.major_label_text_font_size = "11px"
        axis.axis_line_color = axis.major_tick_line_color = FAINT
        axis.minor_tick_line_color = None
    plot.xgrid.grid_line_color = plot.ygrid.grid_line_color = GRID
    plot.toolbar.logo = None
    return plot


def _tools(plot: figure) -> dict[str, Model]:
    box, hover = BoxSelectTool(), HoverTool(tooltips=None)
    wheel = WheelZoomTool(modifiers="ctrl")
    plot.add_tools(
        box, LassoSelectTool(continuous=False), PanTool(), wheel, TapTool(), hover, ResetTool()
    )
    plot.add_tools(SaveTool())
    plot.toolbar.active_drag = box
    plot.toolbar.active_scroll = wheel
    return {"hover": hover}


def scatter_panel(scene: Scene, name: str, x: str, y: str, **more: Any) -> Panel:
    """All stars at columns ``x``, ``y`` of the shared source, with the selection tools."""
    more.setdefault("x_range", Range1d(0, 1))
    more.setdefault("y_range", Range1d(0, 1))
    plot = plain_figure(
        more.pop("x_label", ""),
        more.pop("y_label", ""),
        output_backend="webgl",
        toolbar_location="above",
        **more,
    )
    many = len(scene.stars) > MANY
    look = {"x": x, "y": y, "size": _size(len(scene.stars)), "line_color": None}
    paint = {"field": "shade", "transform": scene.mapper}
    glyph = Scatter(**look, fill_color=paint, fill_alpha=0.55 if many else 0.75)
    stars = plot.add_glyph(
        scene.source,
        glyph,
        selection_glyph=Scatter(**look, fill_color=paint, fill_alpha=0.9),
        nonselection_glyph=Scatter(**{**look, "size": "faint"}, fill_color=FAINT, fill_alpha=0.3),
    )
    ring = plot.scatter(
        f"{name}_x", f"{name}_y", source=scene.pin, size=15, fill_color=None,
        line_color=ACCENT, line_width=2.5, level="overlay",
    )  # fmt: skip
    tools = _tools(plot)
    tools["hover"].renderers = [stars]
    for tool in plot.select(TapTool):
        tool.renderers = [stars]
    models = {"figure": plot, "stars": stars, "ring": ring, **tools}
    return Panel(name, plot, models=models)


def set_view(panel: Panel, scene: Scene, x: str, y: str, flip: Sequence[bool]) -> None:
    """Ranges and labels of the first view; the page's script does the same for the others."""
    plot = panel.figure
    assert plot is not None
    for axis, range_, name, reverse in (
        (plot.xaxis, plot.x_range, x, flip[0]),
        (plot.yaxis, plot.y_range, y, flip[1]),
    ):
        column = scene.stars.columns[name]
        ends = (column.high, column.low) if reverse else (column.low, column.high)
        range_.start, range_.end = ends
        range_.reset_start, range_.reset_end = ends
        axis.axis_label = column.label
