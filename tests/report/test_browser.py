"""The page in a real browser: what a hand on the mouse does, and what changes for it."""

from __future__ import annotations

import csv
import io
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread

from starkin.latent.discovery import Discovery
from starkin.report.stars import Stars

pytestmark = pytest.mark.browser

# Where a point of the data lies in the window, from Bokeh's own view of the figure.
TO_WINDOW = """
const [name, xs, ys] = arguments;
const figure = window.starkin.models[name].figure;
const view = Bokeh.index.find_one(figure);
const box = view.el.getBoundingClientRect();
const {x_scale, y_scale} = view.frame;
return xs.map((x, i) => [box.left + x_scale.compute(x), box.top + y_scale.compute(ys[i])]);
"""


class Driver:
    """The browser with the page open, and the few things the tests do with it."""

    def __init__(self, chrome: Any, page: Path) -> None:
        self.chrome = chrome
        chrome.get_log("performance")
        chrome.get_log("browser")
        chrome.get(page.as_uri())
        self.wait("return Boolean(window.starkin && window.starkin.ready)")
        self.settle()

    def run(self, script: str, *arguments: object) -> Any:
        return self.chrome.execute_script(script, *arguments)

    def wait(self, script: str, *arguments: object, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while not self.run(script, *arguments):
            assert time.monotonic() < end, f"never true: {script}"
            time.sleep(0.05)

    def settle(self) -> None:
        """Until what was changed is drawn: two frames."""
        self.chrome.execute_async_script(
            "const done = arguments[0];"
            "requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 150)))"
        )

    def clear(self) -> None:
        self.run("window.starkin.select([]); window.scrollTo(0, 0)")
        self.settle()

    def drag(self, panel: str, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Press at one point of the data, move, release at the other."""
        from selenium.webdriver.common.action_chains import ActionBuilder

        xs, ys = zip(start, end, strict=True)
        (x0, y0), (x1, y1) = self.run(TO_WINDOW, panel, xs, ys)
        actions = ActionBuilder(self.chrome)
        pointer = actions.pointer_action
        pointer.move_to_location(round(x0), round(y0)).pointer_down()
        for step in (0.3, 0.6, 1.0):
            pointer.move_to_location(round(x0 + step * (x1 - x0)), round(y0 + step * (y1 - y0)))
        pointer.pointer_up()
        actions.perform()
        self.settle()

    def move(self, panel: str, x: float, y: float) -> None:
        from selenium.webdriver.common.action_chains import ActionBuilder

        ((left, top),) = self.run(TO_WINDOW, panel, [x], [y])
        actions = ActionBuilder(self.chrome)
        actions.pointer_action.move_to_location(round(left) - 40, round(top) - 40)
        actions.pointer_action.move_to_location(round(left), round(top))
        actions.perform()
        self.settle()

    def choose(self, select: str, value: str) -> None:
        from selenium.webdriver.support.ui import Select

        Select(self.chrome.find_element("id", select)).select_by_value(value)
        self.settle()

    def picture(self, panel: str) -> np.ndarray:
        """What is drawn in a panel, RGB."""
        png = self.chrome.find_element("id", f"plot-{panel}").screenshot_as_png
        return imread(io.BytesIO(png))[..., :3]

    @property
    def selected(self) -> list[int]:
        return self.run("return Array.from(window.starkin.models.source.selected.indices)")


def colourful(picture: np.ndarray) -> float:
    """Share of pixels with a clear hue."""
    return float((picture.max(axis=2) - picture.min(axis=2) > 0.25).mean())


@pytest.fixture(scope="module")
def page(browser: Any, report: Path) -> Driver:
    return Driver(browser, report)


@pytest.fixture(scope="module")
def stars(small: Discovery) -> Stars:
    return Stars.of(small)


@pytest.fixture(autouse=True)
def _start_clean(page: Driver) -> None:
    page.clear()


def shown_axes(page: Driver) -> tuple[str, str]:
    return page.run(
        "const g = window.starkin.models.latent.stars.glyph; return [g.x.field, g.y.field]"
    )


def test_a_drag_in_the_latent_space_shows_everywhere(
    page: Driver, stars: Stars, small: Discovery
) -> None:
    x, y = (stars.columns[name].values for name in shown_axes(page))
    members = stars.members(1)
    low = [np.percentile(v[members], 10) for v in (x, y)]
    high = [np.percentile(v[members], 90) for v in (x, y)]
    before = {name: page.picture(name) for name in ("hr", "sky", "latent")}
    page.drag("latent", (low[0], high[1]), (high[0], low[1]))

    inside = (x > low[0]) & (x < high[0]) & (y > low[1]) & (y < high[1])
    selected = np.zeros(len(stars), bool)
    selected[page.selected] = True
    # The box starts and ends on whole pixels, so a few stars at its edge may differ.
    assert inside.sum() > 50
    assert (selected ^ inside).sum() <= 0.05 * inside.sum()

    for name, old in before.items():
        new = page.picture(name)
        assert new.shape == old.shape
        assert colourful(new) < 0.6 * colourful(old), f"{name} did not fade the others"
        assert colourful(new) > 0
    text = page.run("return document.getElementById('status').textContent")
    assert text.startswith(f"{selected.sum():,} stars selected")
    cell = page.run(
        "return document.querySelector('tr[data-position=\"1\"] .selected').textContent"
    )
    assert int(cell) == (selected & members).sum()

    drawn = np.array(page.run("return Array.from(window.starkin.models.spectra.selection.data.y)"))
    flux = np.asarray(small.spectra.flux, float)[stars.order[selected]]
    assert drawn == pytest.approx(flux.mean(axis=0), abs=0.01)
    ratio = np.array(page.run("return Array.from(window.starkin.models.ratio.selection.data.y)"))
    rest = np.asarray(small.spectra.flux, float)[stars.order[~selected]]
    assert ratio == pytest.approx(flux.mean(axis=0) / rest.mean(axis=0), abs=0.02)


@pytest.mark.parametrize("panel", ["hr", "sky"])
def test_a_drag_in_the_other_maps_selects_too(page: Driver, stars: Stars, panel: str) -> None:
    if panel == "sky":
        assert stars.sky is not None
        x, y = stars.sky
        corner, other = (-1.0, 0.6), (1.0, -0.6)
    else:
        fields = page.run(
            "const g = window.starkin.models.hr.stars.glyph; return [g.x.field, g.y.field]"
        )
        x = stars.columns[fields[0]].values
        column = page.run("return Array.from(window.starkin.column(arguments[0]))", fields[1])
        y = np.array(column, dtype=float)
        corner, other = (0.9, -2.0), (1.4, 3.0)
    before = page.picture("latent")
    page.drag(panel, corner, other)
    inside = (x > corner[0]) & (x < other[0])
    inside &= (y > min(corner[1], other[1])) & (y < max(corner[1], other[1]))
    selected = np.zeros(len(stars), bool)
    selected[page.selected] = True
    assert inside.sum() > 100
    assert (selected ^ inside).sum() <= 0.05 * inside.sum()
    assert colourful(page.picture("latent")) < 0.9 * colourful(before)


def test_rows_and_chips_select_populations(page: Driver, stars: Stars) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    find = page.chrome.find_element
    find("css selector", '.populations tr[data-position="2"] th').click()
    page.settle()
    assert page.selected == np.flatnonzero(stars.members(2)).tolist()
    chip = find("css selector", '.chip[data-position="2"]')
    assert chip.get_attribute("aria-pressed") == "true"
    other = find("css selector", '.chip[data-position="0"]')
    ActionChains(page.chrome).key_down(Keys.SHIFT).click(other).key_up(Keys.SHIFT).perform()
    page.settle()
    both = stars.members(2) | stars.members(0)
    assert page.selected == np.flatnonzero(both).tolist()
    ActionChains(page.chrome).send_keys(Keys.ESCAPE).perform()
    page.settle()
    assert page.selected == []


def test_axes_and_diagrams_change(page: Driver) -> None:
    before = page.picture("latent")
    old = shown_axes(page)
    page.choose("latent-x", "teff")
    assert shown_axes(page) == ["teff", old[1]]
    label = page.run("return window.starkin.models.latent.figure.below[0].axis_label")
    assert label == "Teff [K]"
    assert np.abs(page.picture("latent") - before).mean() > 0.005
    page.choose("latent-x", old[0])

    before = page.picture("hr")
    select = page.chrome.find_element("id", "hr-view")
    page.choose("hr-view", "Kiel diagram")
    assert select.get_attribute("value") == "Kiel diagram"
    assert np.abs(page.picture("hr") - before).mean() > 0.005
    page.run("const s = arguments[0]; s.selectedIndex = 0; s.dispatchEvent(new Event('change'))",
             select)  # fmt: skip


def test_colour_by_a_label(page: Driver, stars: Stars) -> None:
    page.choose("colour-by", "teff")
    shade = np.array(page.run("return Array.from(window.starkin.column('shade'))"))
    assert shade == pytest.approx(stars.columns["teff"].values, rel=1e-3)
    assert page.run("return window.starkin.models.latent.bar.visible")
    page.choose("colour-by", "")
    shade = np.array(page.run("return Array.from(window.starkin.column('shade'))"))
    assert (shade == stars.position).all()


def test_histogram_counts(page: Driver, stars: Stars) -> None:
    page.choose("histogram-column", "m_h")
    data = page.run(
        "const {left, right, top} = window.starkin.models.histogram.all.data;"
        "return [Array.from(left), Array.from(right), Array.from(top)]"
    )
    left, right, top = map(np.array, data)
    count, _ = np.histogram(stars.columns["m_h"].values, [*left, right[-1]])
    # Packed values may change bins within their rounding.
    assert top == pytest.approx(count / count.sum(), abs=4 / len(stars))
    page.choose("histogram-column", "g_flux_method")
    top = page.run("return Array.from(window.starkin.models.histogram.all.data.top)")
    share = (stars.columns["g_flux_method"].values == 0).mean()
    assert top == pytest.approx([share, 1 - share])


def test_search_shows_one_star(page: Driver, stars: Stars, small: Discovery) -> None:
    from selenium.webdriver.common.keys import Keys

    at = 2345
    box = page.chrome.find_element("id", "search-id")
    box.clear()
    box.send_keys(f"Gaia DR3 {stars.source_id[at]}", Keys.ENTER)
    page.settle()
    assert page.selected == [at]
    card = page.run("return document.querySelector('.star').textContent")
    assert str(stars.source_id[at]) in card
    drawn = np.array(page.run("return Array.from(window.starkin.models.spectra.star.data.y)"))
    flux = np.asarray(small.spectra.flux[stars.order[at]], float)
    # Eight bits between the star's least and greatest flux.
    assert drawn == pytest.approx(flux, abs=0.51 * np.ptp(flux) / 255 + 1e-3)
    ring = page.run("return Object.values(window.starkin.models.pin.data).map((v) => v[0])")
    names = [*shown_axes(page)]
    assert ring[:2] == pytest.approx([stars.columns[n].values[at] for n in names], rel=1e-5)

    box.clear()
    box.send_keys("12", Keys.ENTER)
    page.settle()
    assert "no star" in page.run("return document.getElementById('status').textContent")


def test_pointing_at_a_star_shows_its_spectrum(page: Driver, stars: Stars) -> None:
    x, y = (stars.columns[name].values for name in shown_axes(page))
    # A lonely star, so that the pointer cannot mean another one.
    inside = np.ones(len(stars), bool)
    for values, name in zip((x, y), shown_axes(page), strict=True):
        column = stars.columns[name]
        margin = 0.05 * (column.high - column.low)
        inside &= (values > column.low + margin) & (values < column.high - margin)
    candidates = np.flatnonzero(inside)
    gap = [np.sort(np.hypot((x - x[i]) / x.std(), (y - y[i]) / y.std()))[1] for i in candidates]
    at = int(candidates[int(np.argmax(gap))])
    page.move("latent", float(x[at]), float(y[at]))
    page.wait("return window.starkin.hovered === arguments[0]", at, seconds=5)
    assert len(page.run("return Array.from(window.starkin.models.spectra.star.data.y)")) > 20
    assert str(stars.source_id[at]) in page.run(
        "return document.getElementById('star-hint').textContent"
    )


def test_the_selection_as_csv(page: Driver, stars: Stars) -> None:
    page.run("window.starkin.pick(6, false)")
    page.settle()
    rows = list(csv.DictReader(io.StringIO(page.run("return window.starkin.csv()"))))
    at = np.flatnonzero(stars.members(6))
    assert [int(row["source_id"]) for row in rows] == stars.source_id[at].tolist()
    assert {row["population"] for row in rows} == {"6"}
    assert [float(row["teff"]) for row in rows] == pytest.approx(
        stars.columns["teff"].values[at], rel=1e-3
    )
    assert {row["g_flux_method"] for row in rows} <= {"magnitude", "synthetic"}


def test_sorting_the_table(page: Driver, small: Discovery) -> None:
    heading = page.chrome.find_elements("xpath", "//th[button[text()='number']]/button")[0]
    heading.click()
    order = page.run(
        "return [...document.querySelectorAll('.populations')[0].tBodies[0].rows]"
        ".map((row) => Number(row.dataset.position))"
    )
    assert order == np.argsort(-np.asarray(small.populations["n_stars"]), kind="stable").tolist()


def test_no_errors_and_no_requests(page: Driver) -> None:
    """Last, so that it covers what the other tests did."""
    problems = [
        entry for entry in page.chrome.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")
    ]
    assert problems == []
    urls = []
    for entry in page.chrome.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            urls.append(message["params"]["request"]["url"])
    assert len(urls) >= 1
    assert all(url.startswith(("file:", "data:", "blob:")) for url in urls)
