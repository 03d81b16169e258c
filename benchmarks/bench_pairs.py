"""Speed and accuracy of the high-resolution synthesiser.

    python benchmarks/bench_pairs.py --stars 2048 --threads 1 2

Prints the time of the tables, spectra per minute with each number of threads, whether the spectra
are the same to the last bit, and the error of the numerical short cuts (step of the fine grid,
nodes in temperature) against a calculation with twice as many of each.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

import numpy as np
import torch

from starkin.simulate import ELEMENTS, Spectrograph, Synthesiser, synthesiser
from starkin.simulate.pairs import draw_stars
from starkin.simulate.physics import resolved
from starkin.simulate.synthesiser import WORLDS


def _stars(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    teff, logg = draw_stars(n, "giants", rng)
    return teff, logg, 0.1 * rng.standard_normal((n, len(ELEMENTS)))


def speed(n: int, threads: list[int], world: str) -> None:
    model = Synthesiser(world=world)
    start = time.perf_counter()
    stars = _stars(n, 1)
    model(*(x[:8] for x in stars))  # tables, compilation
    print(f"tables and first spectra: {time.perf_counter() - start:.1f} s")
    first = None
    for model.threads in threads:
        wall, cpu = time.perf_counter(), time.process_time()
        flux = model(*stars)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        print(
            f"{n} spectra of {flux.shape[1]} pixels, {model.threads} threads: {wall:.1f} s wall, "
            f"{cpu:.1f} s CPU; {60 * n / wall:,.0f} a minute, {1e3 * cpu / n:.2f} ms CPU each; "
            f"75,000 would take {75_000 * wall / n / 60:.1f} minutes"
        )
        first = flux if first is None else first
        print(f"the same as with {threads[0]} threads: {np.array_equal(flux, first)}")
    print(f"mean flux {first.mean():.4f}, deepest {first.min():.3f}")


def accuracy(world: str) -> None:
    """Root mean square of the change when steps and nodes are halved, after the LSF."""
    spectrograph = Spectrograph.window(15_700.0, 15_900.0, 22_500.0)
    stars = _stars(48, 2)
    lines = Synthesiser(spectrograph, world).lines
    # The world shifts them again.
    lines = replace(lines, log_gf=lines.log_gf - WORLDS[world].log_gf_shift)

    def spectra(step_kms: float, n_nodes: int) -> np.ndarray:
        synthesiser._STEP_KMS, resolved._N_NODES = step_kms, n_nodes
        return Synthesiser(spectrograph, world, lines)(*stars)

    step, nodes = synthesiser._STEP_KMS, resolved._N_NODES
    usual = spectra(step, nodes)
    for what, finer in (
        ("half the step in wavelength", spectra(step / 2, nodes)),
        ("twice the nodes in temperature", spectra(step, 2 * nodes)),
    ):
        change = finer - usual
        print(f"{what}: rms {np.sqrt(np.mean(change**2)):.1e}, largest {np.abs(change).max():.1e}")
    synthesiser._STEP_KMS, resolved._N_NODES = step, nodes


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stars", type=int, default=2048)
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--world", default="standard")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    speed(arguments.stars, arguments.threads, arguments.world)
    accuracy(arguments.world)
