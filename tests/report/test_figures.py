"""Static figures: there, whole, and the same on every run."""

from __future__ import annotations

from pathlib import Path

from matplotlib.image import imread

from starkin.report.figures import FIGURES, write_figures

from .fake_discovery import make_discovery


def test_all_figures_twice_the_same(tmp_path: Path) -> None:
    found = make_discovery(n_stars=500, n_latent=3)
    first = write_figures(found, tmp_path / "a")
    second = write_figures(found, tmp_path / "b")
    assert [p.name for p in first] == [f"{n}.{s}" for n in FIGURES for s in ("pdf", "png")]
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
        if one.suffix == ".pdf":
            assert one.read_bytes()[:5] == b"%PDF-"
        else:
            # Drawn on, not a white sheet.
            assert imread(one)[..., :3].min() < 0.5


def test_absent_parts_leave_figures_out(tmp_path: Path) -> None:
    drop = ("ra", "dec", "l", "b", "bp_rp", "teff", "clustering", "stability", "model")
    found = make_discovery(n_stars=300, n_populations=0, n_latent=2, drop=drop)
    names = {path.stem for path in write_figures(found, tmp_path)}
    assert names == {"latent"}
