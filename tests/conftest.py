"""Fixtures that several rooms share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_HERE = Path(__file__).resolve()


def _shared_data() -> Path | None:
    """The folder of real Gaia rows beside the checkout, if there is one."""
    named = os.environ.get("STARKIN_SHARED_DATA")
    candidates = [Path(named)] if named else [p / "shared" / "data" for p in _HERE.parents[1:4]]
    return next((c for c in candidates if (c / "gaia_xp").is_dir()), None)


@pytest.fixture(scope="session")
def shared() -> Path:
    folder = _shared_data()
    if folder is None:
        pytest.skip("no shared data: set STARKIN_SHARED_DATA to a folder with gaia_xp/ and xp_vae/")
    return folder


def pytest_configure(config: pytest.Config) -> None:
    """The engine's tables stay beside the tests, never in the user's home."""
    if "STARKIN_CACHE" not in os.environ:
        cache = getattr(config, "cache", None)
        os.environ["STARKIN_CACHE"] = "off" if cache is None else str(cache.mkdir("starkin"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "shared" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.shared)
