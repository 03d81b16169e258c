"""The interactive page of twins: maps, spectra, differences and elements, linked and offline."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from bokeh.document import Document
from bokeh.embed import file_html
from bokeh.events import DocumentReady
from bokeh.models import ColumnDataSource, CustomJS, Range1d, TapTool, Whisker
from bokeh.resources import INLINE
from jinja2 import Environment, PackageLoader, StrictUndefined

from ..spectra import columns
from ..spectra.errors import StarkinError
from ..survey.twin_search import TwinSearch
from .files import write_page
from .panels.scene import Panel, plain_figure
from .style import ACCENT, FAINT, MUTED, TEXT, axis_label, colour

__all__ = ["N_COMPARED", "render_twin_page", "write_twin_report"]

#: Twins of each star whose spectra the page holds.
N_COMPARED = 4
#: Stars of the catalogue drawn behind, and directions of the latent space to choose from.
_BACKGROUND, _AXES = 6_000, 8
# Spectra in 16 bits: unit of flux and of difference / error; the least number is "masked".
_FLUX, _PULL, _MASKED = 1e-4, 0.01, -32768


def write_twin_report(found: TwinSearch, directory: str | os.PathLike[str]) -> Path:
    """Write ``twins.html`` into ``directory``; it needs no network and no other file.

    Raises
    ------
    StarkinError
        If the search compared no spectra, or the file cannot be written.
    """
    return write_page(Path(directory) / "twins.html", render_twin_page(found))


def render_twin_page(found: TwinSearch) -> str:
    """The whole page as text: data, scripts and styles inside, nothing fetched."""
    if not found.differences:
        raise StarkinError("The page of twins shows spectra: search with spectra given.")
    nodes = _Nodes(found)
    panels = {
        panel.name: panel
        for panel in (
            _map(nodes, "latent", "c0", "c1", ("direction 1 [σ]", "direction 2 [σ]")),
            _kiel(nodes),
            _spectra(found),
            _pulls(found),
            _elements(found),
        )
    }
    spectra, pulls = panels["spectra"].figure, panels["pulls"].figure
    pulls.x_range = spectra.x_range  # type: ignore[union-attr]
    document = Document()
    models: dict[str, Any] = {
        "background": nodes.background,
        "nodes": nodes.source,
        "found": nodes.found,
        "star": nodes.star,
        "cube": _cube(found),
        **{name: panel.models for name, panel in panels.items()},
    }
    with document.models.freeze():
        for panel in panels.values():
            if panel.figure is not None:
                panel.figure.name = panel.name  # type: ignore[attr-defined]
                document.add_root(panel.figure)
        nodes.source.selected.js_on_change(
            "indices", CustomJS(code="window.starkin.tapped(cb_obj.indices)")
        )
        document.js_on_event(
            DocumentReady, CustomJS(args={"models": models}, code="window.starkin.start(models)")
        )
    environment = Environment(
        loader=PackageLoader("starkin.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )

    def source(name: str) -> str:
        assert environment.loader is not None
        return environment.loader.get_source(environment, name)[0]

    table = found.to_table()
    return file_html(
        document,
        INLINE,
        title="Twins of stars",
        template=environment.get_template("twins.html"),
        template_variables={
            "panels": panels,
            "meta": _meta(found, nodes),
            "stars": [str(d.source_id) for d in found.differences],
            "n_searched": found.finder.n_usable,
            "conditions": [axis_label(name) for name in found.model.conditions],
            "provenance": [(key, str(value)) for key, value in table.meta.items()],
            "style": source("page.css"),
            "backend": source("backend.js"),
            "script": source("twins.js"),
        },
        suppress_callback_warning=True,
    )


class _Nodes:
    """Stars that the page can point at: those asked for and their twins."""

    def __init__(self, found: TwinSearch) -> None:
        twins, catalogue = found.twins, found.catalogue
        involved = np.concatenate([twins.row, twins.twin_row[twins.twin_row >= 0]])
        self.rows = np.unique(involved)
        place = found.finder.metric.coordinates(found.finder.stars)
        self.axes = min(_AXES, place.shape[1])
        usable = np.flatnonzero(found.finder.stars.usable)
        step = -(-len(usable) // _BACKGROUND)
        self.kiel = all(name in catalogue.columns.colnames for name in (columns.TEFF, columns.LOGG))
        self.background = ColumnDataSource(self._columns(found, place, usable[::step]))
        data = self._columns(found, place, self.rows)
        data["asked"] = np.isin(self.rows, twins.row).astype(np.float32)
        data["source_id"] = [str(i) for i in catalogue.source_id[self.rows]]
        self.source = ColumnDataSource(data)
        names = [*(f"c{i}" for i in range(self.axes)), "teff", "logg"]
        self.found = ColumnDataSource({**{name: [] for name in names}, "ink": [], "alpha": []})
        self.star = ColumnDataSource({name: [] for name in names})

    def _columns(self, found: TwinSearch, place: np.ndarray, rows: np.ndarray) -> dict[str, Any]:
        data: dict[str, Any] = {
            f"c{i}": place[rows, i].astype(np.float32) for i in range(self.axes)
        }
        for name in (columns.TEFF, columns.LOGG):
            column = found.catalogue.columns[name] if self.kiel else np.full(len(place), np.nan)
            values = np.ma.filled(np.ma.asarray(column).astype(np.float64), np.nan)
            # A plain array: of a table's column Bokeh would send the wrong length.
            data[name] = np.array(values[rows], dtype=np.float32)
        return data


def _map(nodes: _Nodes, name: str, x: str, y: str, labels: tuple[str, str], **more: Any) -> Panel:
    """A map of stars: the catalogue behind, stars to choose, the chosen one and its twins."""
    plot = plain_figure(*labels, tools="pan,reset,save", toolbar_location="above", **more)
    behind = plot.scatter(
        x, y, source=nodes.background, size=2.5, color=FAINT, alpha=0.5, line_color=None
    )
    chosen = plot.scatter(
        x, y, source=nodes.source, size=7, fill_color="white", line_color=MUTED,
        fill_alpha=0.8, nonselection_fill_alpha=0.8, nonselection_line_alpha=1.0,
        selection_line_color=ACCENT,
    )  # fmt: skip
    twins = plot.scatter(
        x, y, source=nodes.found, size=10, fill_color="ink", line_color="white", fill_alpha="alpha"
    )
    star = plot.scatter(
        x, y, source=nodes.star, size=17, marker="star", fill_color=TEXT, line_color="white"
    )
    tap = TapTool(renderers=[chosen])
    plot.add_tools(tap)
    plot.toolbar.active_tap = tap
    layers = {"behind": behind, "chosen": chosen, "twins": twins, "star": star}
    return Panel(name, plot, models={"figure": plot, **layers})


def _kiel(nodes: _Nodes) -> Panel:
    if not nodes.kiel:
        return Panel("kiel", note="The catalogue has no columns teff and logg.")
    ends = []
    for name in (columns.TEFF, columns.LOGG):
        values = nodes.background.data[name]
        low, high = np.nanmin(values), np.nanmax(values)
        pad = 0.04 * (high - low) or 1.0
        ends.append(Range1d(float(high + pad), float(low - pad)))
    return _map(
        nodes, "kiel", columns.TEFF, columns.LOGG,
        (axis_label(columns.TEFF), axis_label(columns.LOGG)), x_range=ends[0], y_range=ends[1],
    )  # fmt: skip


def _spectra(found: TwinSearch) -> Panel:
    first = found.differences[0]
    plot = _against_wavelength(found, "normalised flux")
    empty: dict[str, list[float]] = {"x": [], "y": []}
    lines = [
        plot.line("x", "y", source=ColumnDataSource(empty), color=colour(i), line_width=1.2)
        for i in range(N_COMPARED)
    ]
    own = plot.line("x", "y", source=ColumnDataSource(empty), color=TEXT, line_width=1.2)
    plot.x_range.start, plot.x_range.end = _window(first.wavelength)
    return Panel("spectra", plot, models={"figure": plot, "lines": lines, "own": own})


def _window(wavelength: np.ndarray) -> tuple[float, float]:
    """What the spectra open with: wide enough to see lines as lines."""
    low, high = float(wavelength[0]), float(wavelength[-1])
    return low, min(high, low + max((high - low) / 8, 60.0))


def _pulls(found: TwinSearch) -> Panel:
    plot = _against_wavelength(found, "difference / error")
    lines = [
        plot.line("x", "y", source=ColumnDataSource({"x": [], "y": []}), color=colour(i))
        for i in range(N_COMPARED)
    ]
    return Panel("pulls", plot, models={"figure": plot, "lines": lines})


def _against_wavelength(found: TwinSearch, label: str) -> Any:
    first = found.differences[0]
    low, high = float(first.wavelength[0]), float(first.wavelength[-1])
    return plain_figure(
        f"wavelength [{first.unit}]",
        label,
        tools="xpan,xbox_zoom,reset,save",
        toolbar_location="above",
        x_range=Range1d(low, high, bounds=(low, high), reset_start=low, reset_end=high),
    )


def _elements(found: TwinSearch) -> Panel:
    names = found.differences[0].elements
    if not names:
        return Panel(
            "elements",
            note="No abundance columns (mg_h, …) travel with the catalogue, so that a difference "
            "cannot be laid on elements.",
        )
    symbols = [name.removesuffix("_h").capitalize() for name in names]
    plot = plain_figure("", "star − twin, Δ[X/H] [dex]", x_range=symbols, y_range=Range1d(-1, 1))
    source = ColumnDataSource({"element": [], "delta": [], "low": [], "high": [], "ink": []})
    dots = plot.scatter("element", "delta", source=source, size=7, color="ink", line_color=None)
    whisker = Whisker(source=source, base="element", lower="low", upper="high", line_color="ink")
    for head in (whisker.upper_head, whisker.lower_head):
        head.size = 5
        head.line_color = MUTED
    plot.add_layout(whisker)
    return Panel("elements", plot, models={"figure": plot, "dots": dots})


def _cube(found: TwinSearch) -> dict[str, ColumnDataSource]:
    """Spectra of all stars asked for and of their best twins, one long column each."""
    first = found.differences[0]
    n, s = len(found.differences), N_COMPARED
    pixels, n_elements = len(first.wavelength), len(first.elements)
    moved = np.full((n, s, pixels), np.nan, dtype=np.float32)
    pull = np.full((n, s, pixels), np.nan, dtype=np.float32)
    delta = np.full((n, s, n_elements), np.nan, dtype=np.float32)
    error, chi2 = delta.copy(), np.full((n, s), np.nan, dtype=np.float32)
    for i, one in enumerate(found.differences):
        k = min(s, len(one.twin_id))
        moved[i, :k], pull[i, :k] = one.moved[:k], one.pull[:k]
        delta[i, :k], error[i, :k] = one.delta[:k], one.delta_error[:k]
        chi2[i, :k] = one.reduced_chi2[:k]
    own = np.stack([d.flux for d in found.differences])
    columns_ = {
        "own": _short(own, _FLUX),
        "moved": _short(moved, _FLUX),
        "pull": _short(pull, _PULL),
        "delta": delta.reshape(n * s, -1),
        "error": error.reshape(n * s, -1),
        "chi2": chi2,
    }
    # A source each: the columns of one must be equally long.
    return {
        name: ColumnDataSource({"values": array.ravel()})
        for name, array in columns_.items()
        if array.size
    }


def _short(values: np.ndarray, unit: float) -> np.ndarray:
    scaled = np.clip(np.nan_to_num(np.round(values / unit)), -32767, 32767)
    return np.where(np.isfinite(values), scaled, _MASKED).astype(np.int16)


def _meta(found: TwinSearch, nodes: _Nodes) -> dict[str, Any]:
    """Everything the script needs to know that is not a long row of numbers."""
    twins = found.twins
    place = {int(row): i for i, row in enumerate(nodes.rows)}
    return {
        "wavelength": found.differences[0].wavelength.tolist(),
        "flux_unit": _FLUX,
        "pull_unit": _PULL,
        "masked": _MASKED,
        "n_compared": N_COMPARED,
        "n_axes": nodes.axes,
        "elements": [e.removesuffix("_h").capitalize() for e in found.differences[0].elements],
        "inks": [colour(i) for i in range(N_COMPARED)],
        "rest_ink": MUTED,
        "asked": [place[int(row)] for row in twins.row],
        "twins": [[place[int(r)] for r in row if r >= 0] for row in twins.twin_row],
        "probability": np.round(np.nan_to_num(twins.probability), 4).tolist(),
        "distance": np.round(np.nan_to_num(twins.distance), 3).tolist(),
        "ratio": np.round(np.nan_to_num(twins.log_ratio), 2).tolist(),
    }
