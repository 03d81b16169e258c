"""The page of a comparison: one sortable table, and plots to look into, in one file of HTML."""

from __future__ import annotations

from typing import Any

import numpy as np
from bokeh.document import Document
from bokeh.embed import file_html
from bokeh.models import ColumnDataSource, FactorRange, HoverTool, Span
from bokeh.resources import INLINE
from jinja2 import Environment, PackageLoader, StrictUndefined

from ..latent.comparison import COLUMNS, Comparison
from .class_panels import class_panels, tree_panels
from .comparison_figures import FEWEST, shown_labels
from .facts import flatten, number
from .panels.scene import Panel, plain_figure
from .style import ACCENT, MUTED, axis_label, colour, dash

__all__ = ["render_comparison"]

#: Heading of each group of columns of the table, and the columns.
_GROUPS: dict[str, dict[str, str]] = {
    "": {"labels": "told", "n_latent": "latents", "fit_seconds": "fit [s]", "n_failed": "lost"},
    "Reconstruction": {
        "rms": "rms/σ",
        "bias": "bias/σ",
        "spread": "spread/σ",
        "chi2": "χ²/n",
        "rms_truth": "rms to truth",
        "median_rms_truth": "median star",
        "chi2_at_labels": "χ²/n at labels",
        "ratio": "ratio",
    },
    "α": {
        "alpha_balanced_accuracy": "bal. accuracy",
        "alpha_mcc": "MCC",
        "alpha_advantage": "over labels",
        "matched_accuracy": "pairs",
        "matched_p": "p pairs",
    },
    "Evolution and [M/H]": {
        "branch_purity": "MS purity",
        "gradient_ms": "r MS",
        "gradient_gb": "r GB",
    },
    "Nuisance R²": {"r2_a_v": "A(V)", "r2_g_mag": "G", "r2_snr": "S/N", "r2_sky": "sky"},
    "Labels gap": {
        "gap_poor": "poor",
        "gap_missing": "missing",
        "gap_peculiar": "peculiar",
        "gap_multiple": "multiple",
    },
}
_GAPS = _GROUPS["Labels gap"]
_NOTHING = "The run has nothing to show here."


def _legend(plot: Any, shown: bool) -> None:
    """Beside the first panel only: ten names would cover half of every other."""
    legend = plot.legend[0]
    if not shown:
        legend.visible = False
        return
    plot.add_layout(legend, "right")
    legend.click_policy = "mute"
    legend.label_text_font_size = "11px"
    legend.label_text_color = MUTED
    legend.border_line_color = None
    legend.background_fill_alpha = 0.7
    legend.padding = legend.spacing = 2


def _lines(
    found: Comparison,
    name: str,
    series: dict[str, dict[str, list[float]]],
    x: str,
    y: str,
    labels: tuple[str, str],
    **more: Any,
) -> Panel:
    """One line a model; a click in the legend fades one."""
    if not series:
        return Panel(name, note=_NOTHING)
    plot = plain_figure(*labels, **more)
    for model, data in series.items():
        position = found.models.index(model)
        source = ColumnDataSource({"x": data[x], "y": data[y], "model": [model] * len(data[x])})
        plot.line(
            "x", "y", source=source, line_color=colour(position), line_dash=dash(position),
            line_width=1.6, legend_label=model, muted_alpha=0.08,
        )  # fmt: skip
    tips = [("", "@model"), (labels[0], "@x{0.[00]}"), (labels[1], "@y{0.[0000]}")]
    plot.add_tools(HoverTool(tooltips=tips, line_policy="nearest"))
    _legend(plot, name == "spread")
    return Panel(name, plot)


def _dots(
    name: str, rows: list[tuple[str, Any, str]], label: str, at: float, without: str = _NOTHING
) -> Panel:
    """One dot with its interval a row; ``without`` any row a sentence."""
    if not rows:
        return Panel(name, note=without)
    data = {
        "row": [row[0] for row in rows],
        **{key: [row[1][key] for row in rows] for key in ("value", "low", "high")},
        "ink": [row[2] for row in rows],
    }
    source = ColumnDataSource(data)
    names = list(dict.fromkeys(reversed(data["row"])))
    plot = plain_figure(label, "", y_range=FactorRange(*names))
    plot.xaxis[0].ticker.desired_num_ticks = 4  # the panels are narrow, some numbers long
    plot.segment("low", "row", "high", "row", source=source, line_color="ink", line_width=2)
    dots = plot.scatter("value", "row", source=source, size=8, fill_color="ink", line_color="white")
    plot.add_layout(Span(location=at, dimension="height", line_color=MUTED, line_dash="dashed"))
    tips = [("", "@row"), (label, "@value{0.000} (@low{0.000} to @high{0.000})")]
    plot.add_tools(HoverTool(renderers=[dots], tooltips=tips))
    return Panel(name, plot)


def _panels(found: Comparison) -> dict[str, list[Panel]]:
    """Every panel of the page, by section."""
    details, against = found.details, found.details[""]["against"]
    key = "by_wavelength_truth" if against == "truth" else "by_wavelength"
    sampled = {m: details[m][key] for m in found.models if key in details[m]}
    percent = {
        m: {**t, "percent": [100 * v for v in t["bias_fraction"]]} for m, t in sampled.items()
    }
    nm = "vacuum wavelength [nm]"
    reconstruction = [
        _lines(found, "spread", sampled, "wavelength", "spread",
               (nm, f"spread of (model − {against})/σ"), y_axis_type="log"),
        _lines(found, "bias", percent, "wavelength", "percent",
               (nm, "median (model − star)/star [%]"), y_range=_reach(percent)),
    ]  # fmt: skip
    for label in shown_labels(found):
        series = {}
        for model in found.models:
            table = details[model]["by_label"][label]
            use = [i for i, n in enumerate(table["n"]) if n >= FEWEST]
            series[model] = {
                "x": [0.5 * (table["low"][i] + table["high"][i]) for i in use],
                "y": [table["rms"][i] for i in use],
            }
        panel = _lines(
            found, f"label_{label}", series, "x", "y",
            (axis_label(label), f"rms (model − {against})/σ"), y_axis_type="log",
        )  # fmt: skip
        reconstruction.append(panel)
    return {
        "reconstruction": reconstruction,
        "alpha": _alpha_panels(found),
        "nuisance": [
            _column(found, column, f"R² of {text}", 0.0)
            for column, text in _GROUPS["Nuisance R²"].items()
            if column in found.table.colnames
        ],
        "gap": [
            _column(found, column, f"RMSE ratio, {text}", 1.0)
            for column, text in _GAPS.items()
            if column in found.table.colnames
        ],
        "classifier": class_panels(found),
        "phylogeny": tree_panels(found),
    }


def _reach(series: dict[str, dict[str, list[float]]]) -> tuple[float, float]:
    values = np.abs(np.concatenate([t["percent"][20:-20] for t in series.values()] or [[1.0]]))
    reach = 1.3 * float(np.nanpercentile(values, 97)) + 1e-3
    return -reach, reach


def _alpha_panels(found: Comparison) -> list[Panel]:
    general = found.details[""].get("alpha") or {}
    if not general:
        return [Panel("alpha", note="There are too few stars with labels for the α test.")]
    rows = [(c["name"], c["balanced_accuracy"], MUTED) for c in general["baselines"]]
    pairs = []
    if "control" in general:
        pairs.append((general["control"]["name"], general["control"], MUTED))
    for position, model in enumerate(found.models):
        alpha = found.details[model].get("alpha")
        if alpha:
            rows.append((model, alpha["latents"]["balanced_accuracy"], colour(position)))
            if "matched" in alpha:
                pairs.append((model, alpha["matched"], colour(position)))
    return [
        _dots("alpha", rows, "balanced accuracy, high-α against low-α", 0.5),
        _dots(
            "pairs",
            pairs,
            "label-matched pairs told apart",
            0.5,
            f"Of {general['n']:,} stars {general['n_pairs']:,} pairs are alike in all labels and "
            "colour but for α: too few to judge.",
        ),
    ]


def _column(found: Comparison, column: str, label: str, at: float) -> Panel:
    rows = []
    names = [str(name) for name in found.table["model"]]
    for position, model in enumerate(found.models):
        row = found.table[names.index(model)]
        value = {k: float(row[f"{column}{s}"]) for k, s in
                 (("value", ""), ("low", "_low"), ("high", "_high"))}  # fmt: skip
        if np.isfinite(value["value"]):
            rows.append((model, value, colour(position)))
    return _dots(column, rows, label, at)


def _table(found: Comparison) -> dict[str, Any]:
    """Groups, headings and rows for the template."""
    shown = {
        group: {c: text for c, text in columns.items() if c in found.table.colnames}
        for group, columns in _GROUPS.items()
    }
    shown = {group: columns for group, columns in shown.items() if columns}
    headings = [
        {"name": text, "title": COLUMNS[column][1]}
        for columns in shown.values()
        for column, text in columns.items()
    ]
    rows = []
    for row in found.table:
        name = str(row["model"])
        position = found.models.index(name) if name in found.models else -1
        problem = str(row["problem"]) if "problem" in found.table.colnames else ""
        cells = [_cell(row, c) for columns in shown.values() for c in columns]
        rows.append({"name": name, "colour": colour(position), "cells": cells, "problem": problem})
    return {
        "groups": [(group, len(columns)) for group, columns in shown.items()],
        "headings": headings,
        "rows": rows,
    }


def _cell(row: Any, column: str) -> dict[str, Any]:
    value = row[column]
    if isinstance(value, (str, np.str_)):
        return {"text": str(value) or "none", "sort": str(value), "title": ""}
    value = float(value)
    whole = column in ("n_latent", "n_failed")
    text = f"{value:,.0f}" if whole or column == "fit_seconds" else number(value)
    title = ""
    if f"{column}_low" in row.colnames and np.isfinite(row[f"{column}_low"]):
        title = f"95 %: {row[f'{column}_low']:.3g} to {row[f'{column}_high']:.3g}"
    if not np.isfinite(value):
        return {"text": "–", "sort": "", "title": ""}
    return {"text": text, "sort": repr(value), "title": title}


def _confusions(found: Comparison) -> list[dict[str, Any]]:
    general = found.details[""].get("alpha") or {}
    rows = [{"name": c["name"], "counts": c["confusion"]} for c in general.get("baselines", [])]
    for model in found.models:
        if alpha := found.details[model].get("alpha"):
            rows.append({"name": model, "counts": alpha["latents"]["confusion"]})
    return rows


def _provenance(run: dict[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Title and rows of what was run; times summed over the steps of each model."""
    shown = dict(run)
    total: dict[str, float] = {}
    for step, seconds in run.get("seconds", {}).items():
        key = step.split()[1] if " " in step else step
        total[key] = round(total.get(key, 0.0) + seconds, 1)
    if total:
        shown["seconds"] = total | {"processor time of all": run.get("cpu_seconds", "–")}
    shown.pop("cpu_seconds", None)
    return [
        (
            key.replace("_", " ").capitalize(),
            flatten(value if isinstance(value, dict) else {key: value}),
        )
        for key, value in shown.items()
    ]


def render_comparison(found: Comparison) -> str:
    """The whole page as text: data, scripts and styles inside, nothing fetched."""
    environment = Environment(
        loader=PackageLoader("starkin.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = number
    sections = _panels(found) if found.models else {}
    document = Document()
    for panels in sections.values():
        for panel in panels:
            if panel.figure is not None:
                panel.figure.name = panel.name
                document.add_root(panel.figure)
    run = found.run
    variables = {
        "sections": sections,
        "table": _table(found),
        "confusions": _confusions(found),
        "alpha": found.details[""].get("alpha") or {},
        "classifier": found.details[""].get("classifier") or {},
        "tree": found.details[""].get("phylogeny") or {},
        "reference": found.details[""]["reference"],
        "against": found.details[""]["against"],
        "n_stars": run.get("stars", {}).get("n_test", 0),
        "provenance": _provenance(run),
        "accent": ACCENT,
        "style": environment.loader.get_source(environment, "page.css")[0],  # type: ignore[union-attr]
    }
    return file_html(
        document,
        INLINE,
        title="Models side by side",
        template=environment.get_template("comparison.html"),
        template_variables=variables,
        suppress_callback_warning=True,
    )
