"""How figures for print look and are written: one style, the same bytes on every run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ..io.atomic import atomic_file

__all__ = ["COLUMN", "PAGE", "new_figure", "publication", "save_figure"]

_STYLE = {
    "text.usetex": False,  # GaiaXPy turns LaTeX on for the whole process when it is imported
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8,
    "axes.labelsize": 8,
    "axes.titlesize": 8,
    "axes.linewidth": 0.6,
    "axes.unicode_minus": True,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "xtick.top": True,
    "ytick.right": True,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "lines.linewidth": 1.2,
    "pdf.fonttype": 42,
    "svg.hashsalt": "starkin",
    "figure.dpi": 100,
    "savefig.dpi": 200,
}
#: Widths of a journal's column and page [inch].
COLUMN, PAGE = 3.5, 7.2
# Without dates and versions inside, equal runs give equal files.
_METADATA: dict[str, dict[str, None]] = {
    ".pdf": {"CreationDate": None, "ModDate": None, "Producer": None},
    ".png": {"Software": None},
}


@contextmanager
def publication() -> Iterator[None]:
    """Draw and save within it."""
    with rc_context(_STYLE):  # type: ignore[arg-type]
        yield


def new_figure(width: float, height: float) -> Figure:
    """An empty figure [inch]."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Figure, path: Path) -> Path:
    """Write a figure as PDF or PNG, by the suffix."""
    with atomic_file(path) as temporary:
        figure.savefig(temporary, format=path.suffix[1:], metadata=_METADATA[path.suffix])
    return path
