"""The README's and the quick start's Python runs as it stands, on the files that it names."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from astropy.table import Table

import starkin

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the files that the pages speak of."""
    folder = tmp_path_factory.mktemp("docs")
    survey = starkin.simulate_survey(900, seed=4, preset="cemp")
    names = survey.labels.colnames
    gaia = survey.labels[[n for n in names if not n.startswith("true_")]]
    gaia.add_column(survey.source_id, name="source_id", index=0)
    gaia.write(folder / "gaia_source.fits")
    bare = survey.replace(labels=Table())
    starkin.write_spectra(bare[:700], folder / "XP_CONTINUOUS_RAW.fits")
    starkin.write_spectra(bare[700:], folder / "more_stars.csv.gz")
    return folder


@pytest.mark.science
@pytest.mark.parametrize("page", ["README.md", "docs/quickstart.md"])
def test_the_code_on_the_page_runs(page, folder, tmp_path, monkeypatch, capsys):
    if not (ROOT / page).exists():
        pytest.skip("no checkout beside the tests")
    blocks = BLOCK.findall((ROOT / page).read_text())
    assert blocks
    # Pages use the same names for their results.
    monkeypatch.chdir(shutil.copytree(folder, tmp_path / "own"))
    scope: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, page, "exec"), scope)
    assert capsys.readouterr().out
