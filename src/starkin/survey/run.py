"""A run is a directory whose manifest says what is done, so that a killed run goes on.

Each step leaves its result in the directory before the manifest names it, and
the manifest is replaced as a whole: a kill at any moment loses at most the step
in hand, and training inside a step has its own checkpoint.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..io.atomic import atomic_file
from ..spectra.errors import StarkinError

__all__ = ["Run"]

_MANIFEST = "manifest.json"


class Run:
    """The state of one run on disk.

    Parameters
    ----------
    directory : path
        Made if it does not exist.
    settings : mapping
        Full configuration, as plain JSON values.
    inputs : list of dict
        What identifies the input (names and fingerprints).
    overwrite : bool
        Start afresh when the directory holds a run with other settings.

    Raises
    ------
    StarkinError
        If the directory holds another run, or something that is not a run.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        settings: Mapping[str, Any],
        inputs: list[dict[str, Any]],
        *,
        overwrite: bool = False,
    ) -> None:
        self.directory = Path(directory)
        self.identity = json.loads(json.dumps({"settings": settings, "inputs": inputs}))
        self.steps: dict[str, dict[str, Any]] = {}
        manifest = self.directory / _MANIFEST
        if manifest.exists():
            self._resume(manifest, overwrite)
        elif self.directory.exists() and any(self.directory.iterdir()):
            raise StarkinError(
                f"{self.directory} is not empty and holds no run of starkin; choose another folder."
            )
        self.directory.mkdir(parents=True, exist_ok=True)
        self._save()

    def _resume(self, manifest: Path, overwrite: bool) -> None:
        try:
            found = json.loads(manifest.read_text())
            identity, steps = found["identity"], found["steps"]
        except (ValueError, KeyError, TypeError) as error:
            if not overwrite:
                raise StarkinError(
                    f"{manifest} is damaged ({error}); give another folder or --overwrite."
                ) from error
            identity, steps = None, {}
        if identity == self.identity:
            self.steps = steps
            return
        if not overwrite:
            raise StarkinError(
                f"{self.directory} holds a run with other settings or input; give another "
                f"folder, or --overwrite to replace it."
            )
        shutil.rmtree(self.directory)

    def _save(self) -> None:
        with atomic_file(self.directory / _MANIFEST) as path:
            path.write_text(json.dumps({"identity": self.identity, "steps": self.steps}, indent=1))

    def path(self, name: str) -> Path:
        """A file or folder of the run."""
        return self.directory / name

    def done(self, step: str) -> bool:
        """Whether a former process finished ``step``."""
        return step in self.steps

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time the body and note the step as done when it ends without an error."""
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.steps[name] = {
            "seconds": round(time.perf_counter() - wall, 3),
            "cpu_seconds": round(time.process_time() - cpu, 3),
        }
        self._save()

    @property
    def seconds(self) -> dict[str, float]:
        """Wall time of each step that is done [s]."""
        return {name: entry["seconds"] for name, entry in self.steps.items()}

    @property
    def cpu_seconds(self) -> float:
        """Processor time of all steps that are done, on all cores together [s]."""
        return round(sum(entry.get("cpu_seconds", 0.0) for entry in self.steps.values()), 1)
