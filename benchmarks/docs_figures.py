"""Small figures for the documentation from the folder of a comparison.

starkin compare benchmarks/compare_20000.toml --out comparison
python benchmarks/docs_figures.py comparison docs/figures
"""

from __future__ import annotations

import argparse
from pathlib import Path

from matplotlib import rc_context
from PIL import Image

from starkin.latent.comparison import Comparison
from starkin.report.comparison_figures import COMPARISON_FIGURES
from starkin.report.publication import publication, save_figure

#: Figures of "What do XP latents know?" and of "Models side by side".
SHOWN = (
    "kiel_latent", "tracks", "information", "alpha", "nuisance", "gap", "wavelength", "labels",
    "selection", "phylogeny",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("comparison", type=Path, help="folder of starkin compare")
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    found = Comparison.read(given.comparison)
    for name in SHOWN:
        path = given.out / f"{name}.png"
        with publication(), rc_context({"savefig.dpi": 120}):
            figure = COMPARISON_FIGURES[name](found)
            if figure is None:
                continue
            save_figure(figure, path)
        # Lines and dots of a few colours need no more than a palette.
        Image.open(path).convert("RGB").quantize(128).save(path, optimize=True)
        print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
