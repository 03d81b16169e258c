"""A made-up run, its report, and a headless browser to open it in."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from starkin.latent.discovery import Discovery

from .fake_discovery import make_discovery


@pytest.fixture(scope="session")
def small() -> Discovery:
    return make_discovery(n_stars=3000)


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    """Chromium without a window or a GPU: the maps fall back from WebGL to the canvas."""
    webdriver = pytest.importorskip("selenium.webdriver")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("no chromium with chromedriver on this machine")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--disable-gpu",
        "--disable-3d-apis",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
        "--hide-scrollbars",
        "--window-size=1500,1300",
    ):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(executable_path=driver)
    chrome = webdriver.Chrome(options=options, service=service)
    yield chrome
    chrome.quit()


@pytest.fixture(scope="session")
def report(small: Discovery, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from starkin.report import write_report

    return write_report(small, tmp_path_factory.mktemp("report"), figures=False)
