"""Training, validation and test: a star's split depends on its id and the seed alone."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from .errors import StarkinError

__all__ = ["Split", "assign_splits"]


@dataclass(frozen=True)
class Split:
    """Fractions and seed of a split.

    Every star gets a number in [0, 1) that is a hash of its ``source_id`` and the
    seed; training is [0, train), validation the next stretch, test the rest. A star
    therefore keeps its split when the sample grows, shrinks or is shuffled, and keeps
    to training when the training fraction grows.

    Parameters
    ----------
    train, validation : float
        Fractions; what is left is for testing.
    seed : int
        Another seed, another split.
    """

    train: float = 0.8
    validation: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("train", "validation"):
            if not 0 <= getattr(self, name) <= 1:
                raise StarkinError(f"Split.{name} must lie in 0..1, got {getattr(self, name)}.")
        if self.train + self.validation > 1 + 1e-12:
            raise StarkinError(
                f"Split.train and Split.validation must not exceed 1 together, "
                f"got {self.train} + {self.validation}."
            )
        if not 0 <= self.seed < 2**63:
            raise StarkinError(f"Split.seed must lie in 0..2^63-1, got {self.seed}.")


def assign_splits(
    source_id: np.ndarray, split: Split | None = None, *, groups: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Which stars are for training, validation and testing.

    Parameters
    ----------
    source_id : ndarray of int, shape (n_stars,)
        What the split is decided by.
    split : Split, optional
        80, 10 and 10 % with seed 0 without it.
    groups : ndarray of int or str, shape (n_stars,), optional
        Stars with one group (a cluster, a pair, a duplicated source) stay together:
        the split is then that of the group.

    Returns
    -------
    dict of str to ndarray of bool, shape (n_stars,)
        Masks named ``"train"``, ``"validation"`` and ``"test"``; every star is in one.
    """
    split = split or Split()
    if groups is None:
        keys = np.asarray(source_id)
    else:
        keys = np.asarray(groups)
        if keys.shape != np.shape(source_id):
            raise StarkinError(f"There are {keys.size} groups for {np.size(source_id)} stars.")
    number = _uniform(_as_integers(keys), split.seed)
    train = number < split.train
    validation = ~train & (number < split.train + split.validation)
    test = ~train & ~validation
    if split.train + split.validation >= 1 - 1e-12:  # 0.9 + 0.1 must leave nobody over
        validation, test = ~train, np.zeros_like(train)
    return {"train": train, "validation": validation, "test": test}


def _as_integers(keys: np.ndarray) -> np.ndarray:
    if keys.dtype.kind in "iu":
        return keys.astype(np.uint64)
    if keys.dtype.kind not in "USO":
        raise StarkinError(f"Stars can be split by integers or names, not by {keys.dtype} values.")
    names, inverse = np.unique(keys.astype(str), return_inverse=True)
    digests = [hashlib.blake2b(n.encode(), digest_size=8).digest() for n in names]
    return np.array([int.from_bytes(d, "little") for d in digests], dtype=np.uint64)[inverse]


def _uniform(keys: np.ndarray, seed: int) -> np.ndarray:
    """Numbers in [0, 1) that look random: two rounds of SplitMix64 (Steele et al. 2014).

    Gaia's ids are positions on the sky with runs of zero bits, so that anything short
    of full mixing would split the sky instead of the sample.
    """
    mixed = _mix(_mix(keys) + _mix(np.array([seed], dtype=np.uint64)))
    return (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _mix(x: np.ndarray) -> np.ndarray:
    x = x + np.uint64(0x9E3779B97F4A7C15)  # wraps around, as it should
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
