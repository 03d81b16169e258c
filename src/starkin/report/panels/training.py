"""Learning curves of the model."""

from __future__ import annotations

import numpy as np
from bokeh.models import ColumnDataSource, HoverTool, Range1d, Span

from ..facts import history
from ..style import FAINT, MUTED, colour
from .scene import Panel, Scene, plain_figure

__all__ = ["curve_groups", "training_panels"]

_STEPS = ("epoch", "step")
_MAX_PANELS = 3
_IN_NATS = ("loss", "reconstruction", "kl")


def curve_groups(columns: dict[str, list[float]]) -> tuple[str, dict[str, dict[str, list[float]]]]:
    """The step's name, and the curves grouped by quantity: loss of train and validation, …"""
    step = next((name for name in _STEPS if name in columns), "")
    groups: dict[str, dict[str, list[float]]] = {}
    for name, values in columns.items():
        if name in (step, "seconds"):
            continue
        words = name.replace(".", "_").split("_")
        kept = [w for w in words if w not in ("train", "training", "validation", "valid", "val")]
        split = "train" if {"train", "training"} & set(words) else "validation"
        quantity = "_".join(kept) or "loss"
        groups.setdefault(quantity, {})[split if len(kept) < len(words) else quantity] = values
    order = sorted(groups, key=lambda q: ("loss" not in q, -len(groups[q])))
    return step, {q: groups[q] for q in order}


def training_panels(scene: Scene) -> list[Panel]:
    columns = history(scene.discovery.statistics)
    step, groups = curve_groups(columns)
    found = (scene.discovery.statistics.get("model") or {}).get("history")
    best = found.get("best_epoch") if isinstance(found, dict) else None
    if not groups:
        return [Panel("training", note="No training history was kept with the model.")]
    panels: list[Panel] = []
    for quantity, curves in list(groups.items())[:_MAX_PANELS]:
        label = quantity + (
            " [nat per star]" if quantity in ("loss", "reconstruction", "kl") else ""
        )
        plot = plain_figure(step or "epoch", label)
        for i, (name, values) in enumerate(curves.items()):
            x = columns[step] if step else list(range(1, len(values) + 1))
            source = ColumnDataSource({"x": x, "y": values})
            line = plot.line(
                "x", "y", source=source, line_width=2, line_color=colour(i),
                line_dash="solid" if i == 0 else "dashed", legend_label=name,
            )  # fmt: skip
            tips = [("step", "@x"), (name, "@y{0.0000}")]
            plot.add_tools(HoverTool(renderers=[line], tooltips=tips, mode="vline"))
        plot.y_range = _settled(curves)
        if best is not None and not step and 0 <= best < len(values):
            plot.add_layout(Span(location=best + 1, dimension="height", line_color=FAINT))
        plot.legend.visible = len(curves) > 1
        plot.legend.label_text_font_size = "11px"
        plot.legend.label_text_color = MUTED
        plot.legend.border_line_color = None
        panels.append(Panel(f"training_{len(panels)}", plot))
    return panels


def _settled(curves: dict[str, list[float]]) -> Range1d:
    """A range that the first few huge losses do not set."""
    values = np.concatenate([np.asarray(v, float) for v in curves.values()])
    values = values[np.isfinite(values)]
    low, high = values.min(), np.percentile(values, 95)
    if values.max() - low < 4 * (high - low):
        high = values.max()
    pad = (high - low) or abs(low) or 1.0
    return Range1d(low - 0.06 * pad, high + 0.12 * pad)
