"""Mean spectra of the populations, their ratio to the rest, and the stars selected."""

from __future__ import annotations

from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, HoverTool, Range1d, Span
from bokeh.plotting import figure

from ..stars import Packed
from ..style import ACCENT, FAINT, MUTED, TEXT, colour, dash
from .scene import Panel, Scene, plain_figure

__all__ = ["FEATURES", "pixels_for", "ratio_panel", "rebin", "spectra_panel", "star_spectra"]

#: Room for the spectra of single stars in the page [bytes], before encoding.
SPECTRA_BYTES = 4_000_000
MIN_PIXELS, MAX_PIXELS = 24, 160

#: Where to look in a low-resolution optical spectrum [nm].
FEATURES = (
    (395.0, "Ca H,K"),
    (430.0, "CH"),
    (486.1, "Hβ"),
    (517.0, "C₂ Mg"),
    (589.3, "Na D"),
    (656.3, "Hα"),
    (705.0, "TiO"),
    (795.0, "CN"),
    (855.0, "Ca II"),
)


def pixels_for(n_stars: int, n_wave: int) -> int:
    """Pixels a star may have so that all the spectra fit into :data:`SPECTRA_BYTES`."""
    fit = SPECTRA_BYTES // max(n_stars, 1)
    return int(min(n_wave, max(MIN_PIXELS, min(MAX_PIXELS, fit))))


def rebin(wavelength: np.ndarray, flux: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Means over ``n`` runs of neighbouring pixels of nearly equal length.

    Parameters
    ----------
    wavelength : ndarray, shape (n_wave,)
        [nm]
    flux : ndarray, shape (n_stars, n_wave)
        In any unit.
    n : int
        Runs wanted, at most ``n_wave``.

    Returns
    -------
    wavelength, flux : ndarray, shapes (n,) and (n_stars, n)
    """
    edges = np.linspace(0, wavelength.size, n + 1).round().astype(int)
    count = np.diff(edges)
    starts = edges[:-1]
    binned = np.add.reduceat(flux.astype(np.float32), starts, axis=1) / count
    return np.add.reduceat(wavelength, starts) / count, binned


def star_spectra(scene: Scene) -> tuple[ColumnDataSource, dict[str, Any]]:
    """Spectra of single stars in 8 bits, each between its own least and greatest flux."""
    spectra, stars = scene.discovery.spectra, scene.stars
    flux = np.asarray(spectra.flux)
    row = np.asarray(spectra.row, dtype=int)
    place = np.full(len(stars), -1)
    place[stars.order] = np.arange(len(stars))
    if flux.ndim == 2 and len(flux):
        good = np.isfinite(flux).all(axis=1)
        flux, row = flux[good], row[good]
    if flux.ndim != 2 or not len(flux):
        return ColumnDataSource({"flux": np.zeros((0, 1), np.uint8)}), {"wavelength": []}
    n = pixels_for(len(flux), flux.shape[1])
    sort = np.argsort(place[row])
    wavelength, flux = rebin(spectra.wavelength, flux[sort], n)
    low, high = flux.min(axis=1), flux.max(axis=1)
    low, high = Packed.of(low), Packed.of(high)
    base = low.unpack()[:, None]
    span = np.maximum(high.unpack()[:, None] - base, 1e-6)
    data = {
        "flux": np.clip(np.rint((flux - base) / span * 255), 0, 255).astype(np.uint8),
        "low": low.code,
        "high": high.code,
        "star": place[row[sort]].astype(np.int32),
    }
    meta = {
        "wavelength": wavelength.round(2).tolist(),
        "low": [low.offset, low.scale],
        "high": [high.offset, high.scale],
    }
    return ColumnDataSource(data), meta


def _features(plot: figure, wavelength: np.ndarray, top: float) -> None:
    shown = [(nm, name) for nm, name in FEATURES if wavelength.min() < nm < wavelength.max()]
    if not shown:
        return
    at, names = zip(*shown, strict=True)
    plot.vspan(x=list(at), line_color=FAINT, line_dash="dotted", level="underlay")
    plot.text(
        list(at), [top] * len(at), list(names), text_font_size="10px", text_color=MUTED,
        text_align="center", text_baseline="top",
        # In two rows, because neighbours would meet in a narrow window.
        y_offset=[2 + 13 * (i % 2) for i in range(len(at))],
        background_fill_color="white", background_fill_alpha=0.8,
    )  # fmt: skip


def _lines(plot: figure, x, y, low, high, rows: dict[int, int]) -> list[dict[str, Any]]:
    """Line and band of each population; ``rows`` maps its position to its row in the arrays."""
    out = []
    for position, i in rows.items():
        source = ColumnDataSource({"x": x, "y": y[i], "low": low[i], "high": high[i]})
        band = plot.varea(
            "x", "low", "high", source=source, fill_color=colour(position), fill_alpha=0.13
        )
        line = plot.line(
            "x", "y", source=source, line_color=colour(position), line_width=2,
            line_dash=dash(position), level="glyph",
        )  # fmt: skip
        out.append({"position": position, "line": line, "band": band})
    return out


def _own(plot: figure, names: dict[str, tuple[str, float]]) -> dict[str, ColumnDataSource]:
    """Lines that the page's script fills: of the selection and of one star."""
    out = {}
    for name, (ink, width) in names.items():
        out[name] = ColumnDataSource({"x": [], "y": []})
        plot.line("x", "y", source=out[name], line_color=ink, line_width=width)
    return out


def _range(low: np.ndarray, high: np.ndarray, room: float = 0.16) -> Range1d:
    if not np.isfinite(low).any():
        return Range1d(0, 2)
    bottom, top = float(np.nanmin(low)), float(np.nanmax(high))
    pad = (top - bottom) or 1.0
    return Range1d(bottom - 0.04 * pad, top + room * pad)


def _rows(scene: Scene) -> dict[int, int]:
    row = {int(number): i for i, number in enumerate(scene.discovery.spectra.number)}
    return {p: row[n] for p, n in enumerate(scene.stars.numbers) if n in row}


def _zoom(plot: figure) -> None:
    plot.add_tools("pan", "box_zoom", "reset", "save")
    plot.toolbar_location = "above"
    plot.toolbar.active_drag = plot.toolbar.tools[1]


def spectra_panel(scene: Scene) -> Panel:
    spectra = scene.discovery.spectra
    x = np.asarray(spectra.wavelength, dtype=float)
    rows = _rows(scene)
    # Drawn on one scale with the single stars, which come divided by their own mean.
    scale = np.asarray(spectra.mean, dtype=float).mean(axis=1, keepdims=True)
    parts = [np.asarray(v, dtype=float) / scale for v in (spectra.mean, spectra.low, spectra.high)]
    mean, low, high = parts
    y_range = _range(low, high) if rows else Range1d(0, 2)
    plot = plain_figure("wavelength [nm]", "flux ÷ mean flux", y_range=y_range)
    plot.x_range = Range1d(float(x.min()), float(x.max()))
    lines = _lines(plot, x, mean, low, high, rows)
    _features(plot, x, y_range.end)
    own = _own(plot, {"selection": (TEXT, 2.6), "star": (ACCENT, 1.6)})
    _zoom(plot)
    plot.add_tools(HoverTool(renderers=[], tooltips=None))
    return Panel("spectra", plot, models={"figure": plot, "lines": lines, **own})


def ratio_panel(scene: Scene) -> Panel:
    spectra = scene.discovery.spectra
    x = np.asarray(spectra.wavelength, dtype=float)
    rows = _rows(scene)
    ratio, error = np.asarray(spectra.ratio, float), np.asarray(spectra.ratio_error, float)
    inside = ratio[list(rows.values())] if rows else np.ones((1, 1))
    # The blue end of cool stars divides by next to nothing: keep it from setting the scale.
    low, high = np.nanpercentile(inside, (0.5, 99.5)) if np.isfinite(inside).any() else (0.5, 1.5)
    y_range = _range(np.array([min(low, 0.9)]), np.array([max(high, 1.1)]))
    plot = plain_figure("wavelength [nm]", "flux ÷ flux of the rest", y_range=y_range)
    plot.x_range = Range1d(float(x.min()), float(x.max()))
    plot.add_layout(Span(location=1, dimension="width", line_color=MUTED, line_width=1))
    lines = _lines(plot, x, ratio, ratio - error, ratio + error, rows)
    _features(plot, x, y_range.end)
    own = _own(plot, {"selection": (TEXT, 2.6)})
    _zoom(plot)
    return Panel("ratio", plot, models={"figure": plot, "lines": lines, **own})
