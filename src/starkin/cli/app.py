"""`starkin`: the commands and their common options.

Heavy libraries are imported inside the commands, so that ``--help`` is quick.
"""

from __future__ import annotations

import typer

from . import comparison, data, discovery, models, spectra, twins

app = typer.Typer(
    name="starkin",
    help="Find a star's kin from its spectrum alone.",
    epilog="Start with: starkin demo --out demo-run",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for module in (discovery, data, spectra, models, comparison, twins):
    module.add_to(app)


@app.command(rich_help_panel="About")
def versions() -> None:
    """Print what a bug report needs: versions of starkin, its libraries and the machine."""
    from ..survey.provenance import versions as collect
    from .console import console

    for name, version in collect().items():
        console.print(f"{name:<16} {version}", highlight=False)
