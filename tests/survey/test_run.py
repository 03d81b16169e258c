"""A run resumes by its manifest and never mixes two configurations."""

from __future__ import annotations

import json

import pytest

from starkin.spectra import StarkinError
from starkin.survey.run import Run


def test_a_finished_step_is_remembered_and_a_failed_one_is_not(tmp_path):
    run = Run(tmp_path / "run", {"seed": 1}, [{"file": "a"}])
    with run.step("one"):
        pass
    with pytest.raises(RuntimeError), run.step("two"):
        raise RuntimeError
    again = Run(tmp_path / "run", {"seed": 1}, [{"file": "a"}])
    assert again.done("one")
    assert not again.done("two")
    assert set(again.seconds) == {"one"}


def test_other_settings_are_refused_unless_told_to_replace(tmp_path):
    run = Run(tmp_path / "run", {"seed": 1}, [])
    with run.step("one"):
        (tmp_path / "run" / "result").write_text("x")
    with pytest.raises(StarkinError, match="other settings"):
        Run(tmp_path / "run", {"seed": 2}, [])
    assert (tmp_path / "run" / "result").exists()
    fresh = Run(tmp_path / "run", {"seed": 2}, [], overwrite=True)
    assert not fresh.done("one")
    assert not (tmp_path / "run" / "result").exists()


def test_a_foreign_folder_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    for overwrite in (False, True):
        with pytest.raises(StarkinError, match="no run of starkin"):
            Run(tmp_path, {}, [], overwrite=overwrite)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_a_damaged_manifest_is_said_to_be(tmp_path):
    Run(tmp_path / "run", {}, [])
    manifest = tmp_path / "run" / "manifest.json"
    manifest.write_text(manifest.read_text()[:-20])
    with pytest.raises(StarkinError, match="damaged"):
        Run(tmp_path / "run", {}, [])
    Run(tmp_path / "run", {}, [], overwrite=True)
    assert json.loads(manifest.read_text())["steps"] == {}
