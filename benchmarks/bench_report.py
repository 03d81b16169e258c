"""The report's page with 60,000 stars in headless Chromium: how large, how quick.

    python benchmarks/bench_report.py [--n 60000] [--quick]

Reported: time to write the page and its size; from opening the file to the linked panels
being ready (parsing, unpacking and the first drawing included); for a selection, the time
of the page's own scripts and the time until the browser has drawn it and is idle again,
medians over repeats. Headless Chromium has no GPU here, so the page takes its plain canvas;
where there is one it takes WebGL. Beside the wall time stands the processor time of the
page's main thread, which other work on the machine changes less.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from selenium import webdriver

from starkin.report.page import render_page

ROOT = Path(__file__).resolve().parents[1]
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--window-size=1600,1200",
)

# Select, wait until it is drawn, answer [scripts, all] in ms.
SELECT = """
const [position, done] = arguments;
const indices = window.starkin.members(position).filter((_, i) => i % 2 === 0);
const start = performance.now();
window.starkin.select(indices);
requestAnimationFrame(() => requestAnimationFrame(() => requestIdleCallback(() => {
  done([window.starkin.timings.selection, performance.now() - start]);
})));
"""
HOVER = """
const [star, done] = arguments;
const start = performance.now();
window.starkin.hover({index: {indices: [star]}});
requestAnimationFrame(() => requestAnimationFrame(() => requestIdleCallback(() => {
  done(performance.now() - start);
})));
"""


def discovery(n: int) -> Any:
    """The made-up run of the report's tests."""
    path = ROOT / "tests" / "report" / "fake_discovery.py"
    spec = importlib.util.spec_from_file_location("fake_discovery", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.make_discovery(n_stars=n)


def browser() -> webdriver.Chrome:
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or ""
    for flag in FLAGS:
        options.add_argument(flag)
    driver = webdriver.ChromeService(executable_path=shutil.which("chromedriver"))
    chrome = webdriver.Chrome(options=options, service=driver)
    chrome.set_script_timeout(120)
    return chrome


def busy(chrome: webdriver.Chrome) -> float:
    """Processor time of the page's main thread so far [ms]."""
    metrics = chrome.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
    return 1000 * next(m["value"] for m in metrics if m["name"] == "TaskDuration")


def measure(n: int, repeats: int) -> dict[str, float]:
    found = discovery(n)
    start, cpu = time.perf_counter(), time.process_time()
    html = render_page(found)
    out = {
        "write_s": time.perf_counter() - start,
        "write_cpu_s": time.process_time() - cpu,
        "page_mb": len(html.encode()) / 1e6,
    }
    loads, scripts, drawn, cpu_selection, hover = [], [], [], [], []
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        page.write_text(html, encoding="utf-8")
        chrome = browser()
        try:
            chrome.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
            for _ in range(repeats):
                chrome.get("about:blank")
                start = time.perf_counter()
                chrome.get(page.as_uri())
                while not chrome.execute_script("return Boolean(window.starkin?.ready)"):
                    time.sleep(0.02)
                chrome.execute_async_script(
                    "const done = arguments[0];"
                    "requestAnimationFrame(() => requestAnimationFrame(() => done()))"
                )
                loads.append(time.perf_counter() - start)
            for i in range(4 * repeats):
                # The first pass makes what is made once; noise is the largest group.
                before = busy(chrome)
                script, all_ = chrome.execute_async_script(SELECT, (i % 4) - 1)
                if i >= 4:
                    scripts.append(script)
                    drawn.append(all_)
                    cpu_selection.append(busy(chrome) - before)
                hover.append(chrome.execute_async_script(HOVER, i))
        finally:
            chrome.quit()
    return out | {
        "load_s": statistics.median(loads),
        "selection_scripts_ms": statistics.median(scripts),
        "selection_drawn_ms": statistics.median(drawn),
        "selection_drawn_worst_ms": max(drawn),
        "selection_cpu_ms": statistics.median(cpu_selection),
        "hover_drawn_ms": statistics.median(hover),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=60_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="2,000 stars, two repeats")
    arguments = parser.parse_args()
    n, repeats = (2_000, 2) if arguments.quick else (arguments.n, arguments.repeats)
    result = measure(n, repeats)
    print(f"| the page with {n:,} stars | |\n|---|---:|")
    for name, value in result.items():
        print(f"| {name} | {value:.3g} |")
    record = {
        "n_stars": n,
        "cpus": os.cpu_count(),
        "load_average": os.getloadavg()[0],
        "platform": platform.platform(),
        **result,
    }
    folder = ROOT / "bench-out"
    folder.mkdir(exist_ok=True)
    (folder / "report.json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
