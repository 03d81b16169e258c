"""What the terminal shows: progress bars, one-sentence errors, exit codes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Column

__all__ = ["EXIT_FAILED", "EXIT_INTERRUPTED", "console", "errors", "steps"]

#: The job failed; the sentence on standard error says why. (2 is a wrong command line.)
EXIT_FAILED = 1
#: Stopped by Ctrl-C; the same command goes on where it stopped, if it can resume.
EXIT_INTERRUPTED = 130

console = Console()
_errors = Console(stderr=True)


@contextmanager
def errors() -> Iterator[None]:
    """Turn an error of the user's into one sentence and an exit code; keep bugs loud."""
    from ..spectra.errors import StarkinError

    try:
        yield
    except StarkinError as error:
        _errors.print(f"[bold red]error:[/] {error}", highlight=False, soft_wrap=True)
        raise typer.Exit(EXIT_FAILED) from error
    except KeyboardInterrupt as error:
        _errors.print("stopped; run the same command again to go on.")
        raise typer.Exit(EXIT_INTERRUPTED) from error


class Steps:
    """One progress bar a step, made when the step first reports."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, step: str, done: int, total: int, note: str = "") -> None:
        if step not in self._tasks:
            self._tasks[step] = self._bars.add_task(step, total=total, note=note)
        self._bars.update(self._tasks[step], completed=done, total=total, note=note)

    def of(self, step: str) -> Callable[..., None]:
        """A (done, total, note) callable for one step."""
        return lambda done, total, note="": self(step, done, total, note)


@contextmanager
def steps() -> Iterator[Steps]:
    """Progress bars for the steps of a job."""
    note = Column(ratio=1, no_wrap=True, overflow="ellipsis")
    with Progress(
        TextColumn("{task.description}", table_column=Column(min_width=13, no_wrap=True)),
        BarColumn(bar_width=16, table_column=Column(min_width=8)),
        MofNCompleteColumn(table_column=Column(min_width=5, no_wrap=True)),
        TimeElapsedColumn(table_column=Column(min_width=7, no_wrap=True)),
        TextColumn("[dim]{task.fields[note]}", table_column=note),
        expand=True,
        console=_errors,
    ) as bars:
        yield Steps(bars)
