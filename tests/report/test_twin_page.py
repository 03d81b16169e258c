"""The page of twins: whole and offline; in a browser, one choice moves every panel."""

from __future__ import annotations

import re
import time

import numpy as np
import pytest
from matplotlib.image import imread

from starkin.report.twin_figures import write_twin_figure
from starkin.report.twin_page import render_twin_page, write_twin_report
from starkin.spectra import StarkinError
from starkin.survey.twin_search import TwinSearch, find_twins

from ..survey.twin_world import LinearTwins, observed, pairs


@pytest.fixture(scope="module")
def found() -> TwinSearch:
    spectra = observed(pairs(60, seed=9), 120, 1)
    model = LinearTwins()
    stars = [int(i) for i in spectra.source_id[:2]]
    search = find_twins(model, model.encode(spectra), stars, k=6, spectra=spectra)
    return search.with_their_twins(most=8)


def test_twins_of_twins_are_there_to_go_on_to(found):
    assert len(found.twins) == 8
    assert found.twins.source_id[:2].tolist() == [5000, 5001]
    # The best twin of each star asked for comes before any second-best.
    assert set(found.twins.source_id[2:4]) == set(found.twins.twin_id[:2, 0])
    assert len(found.differences) == 8


def test_the_page_is_whole_and_fetches_nothing(found, tmp_path):
    page = write_twin_report(found, tmp_path).read_text()
    assert not re.search(r'<(script|img|link)[^>]*(src|href)="(http|//)', page)
    assert "connect-src 'none'" in page
    for text in ("5000", "Kiel diagram", "Where it sits", "n_stars_searched"):
        assert text in page


def test_a_page_without_spectra_is_refused(found):
    model = LinearTwins()
    bare = find_twins(model, found.catalogue, [5000])
    with pytest.raises(StarkinError, match="with spectra given"):
        render_twin_page(bare)


def test_the_figure_is_drawn_in_both_formats_and_no_other(found, tmp_path):
    args = found.differences[0], found.twins
    assert imread(write_twin_figure(*args, tmp_path / "a.png")).std() > 0.05
    first = write_twin_figure(*args, tmp_path / "a.pdf").read_bytes()
    assert first == write_twin_figure(*args, tmp_path / "b.pdf").read_bytes()
    with pytest.raises(StarkinError, match=r"\.pdf or \.png"):
        write_twin_figure(*args, tmp_path / "a.gif")


# --- in a browser ---------------------------------------------------------------
STATE = """
const page = window.starkin;
const {spectra, pulls, elements, star, found} = page.models;
return {
  name: document.getElementById("name").textContent,
  rows: document.querySelectorAll("#twins tr").length,
  first: document.querySelector("#twins td").textContent,
  own: Array.from(spectra.own.data_source.data.y),
  pull: Array.from(pulls.lines[0].data_source.data.y),
  visible: spectra.lines.map((l) => l.visible),
  elements: elements.dots.data_source.data.delta.length,
  teff: Array.from(star.data.teff),
  twins: Array.from(found.data.teff),
};
"""


@pytest.fixture(scope="module")
def page(browser, found, tmp_path_factory):
    path = write_twin_report(found, tmp_path_factory.mktemp("twins"))
    browser.get_log("browser")
    browser.get(path.as_uri())
    end = time.monotonic() + 90
    while not browser.execute_script("return Boolean(window.starkin && window.starkin.ready)"):
        assert time.monotonic() < end, browser.get_log("browser")
        time.sleep(0.1)
    return browser


@pytest.mark.browser
def test_it_opens_with_the_first_star_and_no_error(page, found):
    state = page.execute_script(STATE)
    one = found.differences[0]
    assert state["name"] == "5000"
    assert (state["rows"], state["first"]) == (6, str(found.twins.twin_id[0, 0]))
    np.testing.assert_allclose(state["own"], one.flux, atol=1e-4)
    np.testing.assert_allclose(state["pull"], one.pull[0], atol=0.01)
    assert state["elements"] == 4 * 4
    assert [e for e in page.get_log("browser") if e["level"] == "SEVERE"] == []


@pytest.mark.browser
def test_a_click_on_a_star_moves_every_panel(page, found):
    from selenium.webdriver.common.action_chains import ActionBuilder

    before = page.execute_script(STATE)
    x, y, node = page.execute_script(
        """
        const {latent, nodes} = window.starkin.models;
        const meta = JSON.parse(document.getElementById("starkin-meta").textContent);
        const view = Bokeh.index.find_one(latent.figure);
        const box = view.el.getBoundingClientRect();
        const {x_scale, y_scale} = view.frame;
        const node = meta.asked[2];
        return [box.left + x_scale.compute(nodes.data.c0[node]),
                box.top + y_scale.compute(nodes.data.c1[node]), nodes.data.source_id[node]];
        """
    )
    actions = ActionBuilder(page)
    actions.pointer_action.move_to_location(round(x), round(y)).click()
    actions.perform()
    end = time.monotonic() + 20
    while page.execute_script(STATE)["name"] == before["name"]:
        assert time.monotonic() < end
        time.sleep(0.1)
    after = page.execute_script(STATE)
    place = found.twins.source_id.tolist().index(int(after["name"]))
    # Stars may lie on top of each other: whichever was hit, all panels agree on it.
    assert place > 0 or after["name"] == node
    np.testing.assert_allclose(after["own"], found.differences[place].flux, atol=1e-4)
    assert after["first"] == str(found.twins.twin_id[place, 0])
    teff = found.catalogue.columns["teff"]
    np.testing.assert_allclose(after["teff"], [teff[found.twins.row[place]]], rtol=1e-6)
    np.testing.assert_allclose(after["twins"], teff[found.twins.twin_row[place]], rtol=1e-6)


@pytest.mark.browser
def test_a_row_of_the_table_picks_one_twin(page):
    page.execute_script("window.starkin.show(1)")
    page.execute_script("document.querySelectorAll('#twins tr')[1].click()")
    state = page.execute_script(STATE)
    assert state["visible"] == [False, True, False, False]
    assert state["elements"] == 4
    page.execute_script("document.querySelectorAll('#twins tr')[1].click()")
    assert page.execute_script(STATE)["visible"] == [True] * 4
