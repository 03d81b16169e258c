"""The rooms import one way only; the walk reads the code, it does not run it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import starkin

PACKAGE = Path(starkin.__file__).parent
ROOMS = ["spectra", "io", "simulate", "nets", "models", "latent", "survey", "report", "cli"]
# What a room must not know of, beyond the order of the rooms.
FORBIDDEN = {
    "spectra": {"torch"},
    "io": {"torch"},
    "nets": {"astropy", "pyarrow", "pandas", "polars"},
    "latent": {"torch"},
    "report": {"torch", "sklearn", "scipy"},
}


def _imports(path: Path) -> set[str]:
    """Absolute names of everything a module imports, at any depth of its code."""
    package = ("starkin", *path.relative_to(PACKAGE).parent.parts)
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            module = [*base, *([node.module] if node.module else [])]
            found |= {".".join([*module, alias.name]) for alias in node.names}
    return found


def _room(name: str) -> str | None:
    parts = name.split(".")
    return parts[1] if parts[0] == "starkin" and len(parts) > 1 and parts[1] in ROOMS else None


def violations(path: Path, imports: set[str]) -> list[str]:
    here = path.relative_to(PACKAGE).parts[0]
    if here not in ROOMS:
        return []
    wrong = []
    for name in sorted(imports):
        room = _room(name)
        if room is not None and ROOMS.index(room) > ROOMS.index(here):
            wrong.append(f"{here} imports {name}")
        if room in {"io", "simulate"} and here == "nets":
            wrong.append(f"nets imports {name}")
        if name.split(".")[0] in FORBIDDEN.get(here, set()):
            wrong.append(f"{here} must not know of {name}")
    return wrong


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE))
)
def test_no_arrow_points_up(path):
    assert violations(path, _imports(path)) == []


def test_the_guard_sees_an_upward_arrow():
    path = PACKAGE / "spectra" / "grid.py"
    assert violations(path, {"starkin.models.base.SpectrumModel"})
    assert violations(path, {"torch"})
    assert not violations(path, {"starkin.spectra.errors.StarkinError", "numpy"})


def test_relative_imports_resolve_to_absolute_names(tmp_path):
    assert "starkin.io.latents.Latents" in _imports(PACKAGE / "models" / "base.py")


def test_every_folder_is_a_room_and_no_file_outgrows_two():
    rooms = {p.name for p in PACKAGE.iterdir() if p.is_dir() and p.name != "__pycache__"}
    assert rooms <= set(ROOMS)
    long = {
        str(p.relative_to(PACKAGE)): n
        for p in PACKAGE.rglob("*.py")
        if (n := len(p.read_text().splitlines())) > 500
    }
    assert not long, f"two things in one room? {long}"
