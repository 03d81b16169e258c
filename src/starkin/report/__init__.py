"""Figures, tables and the interactive page: results in, files out, nothing computed."""

from __future__ import annotations

import os
from pathlib import Path

from ..latent.comparison import Comparison
from ..latent.discovery import Discovery
from .files import write_page

__all__ = ["write_comparison", "write_report"]


def write_report(
    discovery: Discovery | str | os.PathLike[str],
    directory: str | os.PathLike[str],
    *,
    figures: bool = True,
) -> Path:
    """Write ``report.html`` and ``figures/*.{pdf,png}`` into ``directory``.

    Parameters
    ----------
    discovery : Discovery or path
        The run, or the folder that :meth:`Discovery.write` made.
    directory : path
        Where to write; usually the run's own folder.
    figures : bool
        Whether to draw the static figures too.

    Returns
    -------
    pathlib.Path
        The page. It needs no network and no other file.

    Raises
    ------
    StarkinError
        If the run's folder is incomplete or the files cannot be written.
    """
    # Bokeh and matplotlib take a second to import: only who wants a report waits for it.
    from .figures import write_figures
    from .page import render_page

    if not isinstance(discovery, Discovery):
        discovery = Discovery.read(discovery)
    directory = Path(directory)
    page = write_page(directory / "report.html", render_page(discovery))
    if figures:
        write_figures(discovery, directory / "figures")
    return page


def write_comparison(
    comparison: Comparison | str | os.PathLike[str],
    directory: str | os.PathLike[str],
    *,
    figures: bool = True,
) -> Path:
    """Write ``comparison.html`` and ``figures/*.{pdf,png}`` of models side by side.

    Parameters
    ----------
    comparison : Comparison or path
        The run, or the folder that :meth:`Comparison.write` made.
    directory : path
        Where to write; usually the run's own folder.
    figures : bool
        Whether to draw the static figures too.

    Returns
    -------
    pathlib.Path
        The page. It needs no network and no other file.

    Raises
    ------
    StarkinError
        If the run's folder is incomplete or the files cannot be written.
    """
    from .comparison_figures import write_comparison_figures
    from .comparison_page import render_comparison

    if not isinstance(comparison, Comparison):
        comparison = Comparison.read(comparison)
    directory = Path(directory)
    page = write_page(directory / "comparison.html", render_comparison(comparison))
    if figures:
        write_comparison_figures(comparison, directory / "figures")
    return page
