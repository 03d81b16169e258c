"""The page as text: one file, nothing from outside, every part or a note in its place."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from starkin.latent.discovery import Discovery
from starkin.report import write_report
from starkin.report.page import render_page
from starkin.spectra.errors import StarkinError

from .fake_discovery import make_discovery

SECTIONS = ["explore", "populations", "trust", "settings", "model", "run", "reading"]


class Page(HTMLParser):
    """Collects what a browser would fetch, the ids, and the visible text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.ids: list[str] = []
        self.words: list[str] = []
        self.inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.inside = tag
        if "id" in given:
            self.ids.append(given["id"] or "")
        for name in ("src", "srcset", "data", "poster"):
            if given.get(name):
                self.fetched.append(given[name] or "")
        if tag == "link":
            self.fetched.append(given.get("href") or "")

    def handle_data(self, data: str) -> None:
        if self.inside not in ("script", "style"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def html(small: Discovery) -> str:
    return render_page(small)


def test_nothing_is_fetched(html: str) -> None:
    page = Page(html)
    assert all(url.startswith("data:") for url in page.fetched)
    assert not re.search(r"@import|url\(\s*['\"]?(https?:)?//", html)
    assert "connect-src 'none'" in html
    assert "bokeh-mathjax" not in html
    assert "MathJax.js" not in html


def test_every_section_and_panel_is_there(html: str) -> None:
    page = Page(html)
    assert [i for i in page.ids if i in SECTIONS] == SECTIONS
    for name in ("latent", "hr", "sky", "spectra", "ratio", "histogram", "stability", "jaccard"):
        assert f"plot-{name}" in page.ids
    assert {"plot-null", "plot-sweep_0", "plot-training_0"} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    for word in ("candidates.parquet", "Gaussian surrogates", "2.13.0", "HDBSCAN", "Jaccard"):
        assert word in page.text


def test_the_table_shows_the_numbers_of_the_run(html: str, small: Discovery) -> None:
    rows = re.findall(r'<tr data-position="(\d)".*?</tr>', html, flags=re.S)
    assert rows[:7] == list("0123456")
    table = small.populations
    first = re.search(r'<tr data-position="0".*?</tr>', html, flags=re.S)
    assert first is not None
    assert f"{table['n_stars'][0]:,}" in first[0]
    assert f"{100 * table['fraction'][0]:.2f} %" in first[0]


def test_labels_of_the_user_cannot_break_the_page() -> None:
    found = make_discovery(n_stars=300)
    found.catalogue.columns.rename_column("cemp_probability", "</script><b>x")
    found.run["command"] = "<script>alert(1)</script>"
    html = render_page(found)
    assert "</script><b>x" not in html
    assert "<script>alert(1)" not in html
    meta = re.search(r'id="starkin-meta">(.*?)</script>', html, flags=re.S)
    assert meta is not None
    assert "</script><b>x" in json.loads(meta[1])["labels"]


@pytest.mark.parametrize(
    ("options", "notes"),
    [
        (
            {"drop": ("parallax", "votes", "stability", "null", "clustering", "model")},
            [
                "No absolute magnitudes",
                "No votes on object types",
                "No stability test",
                "No null test",
                "No settings sweep",
                "No training history",
            ],
        ),
        (
            {"drop": ("ra", "dec", "l", "b", "bp_rp", "teff"), "n_shown": 50},
            ["No sky map", "No HR diagram", "50 stars whose spectra are in this page"],
        ),
        (
            {"drop": ("phot_g_mean_mag",), "nan_latents": 10, "n_latent": 12},
            ["Kiel diagram", "10 could not be encoded", "described by 12 numbers"],
        ),
        (
            {"n_populations": 0, "n_shown": 0, "n_latent": 1},
            ["No population was found", "described by 1 number"],
        ),
    ],
    ids=["tests and parallax", "sky and colour", "magnitude", "populations"],
)
def test_absent_parts_leave_a_note(options: dict, notes: list[str]) -> None:
    html = render_page(make_discovery(n_stars=400, **options))
    meta = re.search(r'id="starkin-meta">(.*?)</script>', html, flags=re.S)
    assert meta is not None
    shown = Page(html).text + meta[1]
    for note in notes:
        assert note in shown


def test_a_run_with_nothing_but_latents() -> None:
    found = make_discovery(n_stars=200, n_populations=0)
    found.catalogue.columns.remove_columns(found.catalogue.columns.colnames)
    bare = Discovery(found.catalogue, found.populations, found.spectra)
    text = Page(render_page(bare)).text
    assert "200" in text
    assert "The run left no record" in text


def test_from_the_folder_it_is_the_same_report(tmp_path: Path) -> None:
    make_discovery(n_stars=400).write(tmp_path)
    page = write_report(tmp_path, tmp_path, figures=False)
    assert page == tmp_path / "report.html"
    back = Page(page.read_text())
    assert set(back.ids) >= {"plot-latent", "plot-hr", "plot-sky", "plot-histogram"}
    assert "7 populations" in back.text


def test_whole_or_not_at_all(small: Discovery, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StarkinError, match="Cannot write"):
        write_report(small, tmp_path / "file", figures=False)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_incomplete_folder_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(StarkinError, match="not a complete discovery run"):
        write_report(tmp_path, tmp_path)
