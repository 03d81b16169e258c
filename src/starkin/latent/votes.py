"""What catalogues call the members of a population: a vote over SIMBAD object types."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import hypergeom

from ..spectra.errors import StarkinError

__all__ = ["UNMATCHED", "Vote", "majority_votes", "vote_columns", "vote_counts"]

#: What a star without a counterpart is called in the counts.
UNMATCHED = "unmatched"


@dataclass(frozen=True)
class Vote:
    """The vote of one population.

    Attributes
    ----------
    population : int
    winner : str
        The commonest type among matched members; empty if none is matched.
    votes : int
        Members of that type.
    matched, unmatched : int
        Members with and without a counterpart.
    counts : dict of str to int
        By type, the commonest first.
    entropy : float
        Of the types of the matched members [bit]: 0 when they agree; NaN if none is matched.
    p : float
        Chance that a random group of as many matched stars of the sample has at
        least as many of the winner's type (hypergeometric); NaN if none is matched.
    excess : str
        The type whose share stands out most against the sample's (smallest such
        p-value); it may differ from the winner, which can be common everywhere.
    excess_p : float
        That p-value, times the number of types compared (Bonferroni), at most 1.
    """

    population: int
    winner: str
    votes: int
    matched: int
    unmatched: int
    counts: dict[str, int]
    entropy: float
    p: float
    excess: str
    excess_p: float

    def to_dict(self) -> dict[str, Any]:
        return dict(vars(self))


def majority_votes(
    types: Sequence[str | None] | np.ndarray,
    labels: np.ndarray,
    *,
    grouping: Callable[[str], str] | None = None,
) -> list[Vote]:
    """Let the members of each population vote.

    Parameters
    ----------
    types : sequence of str, shape (n,)
        Object type of each star, empty or None (or masked) where it has no counterpart.
    labels : ndarray of int, shape (n,)
        -1 for none: those stars are part of the sample a population is compared with.
    grouping : callable, optional
        Maps an object type to the group in which it is counted, for example
        SIMBAD's own hierarchy; types are counted as they are by default.

    Returns
    -------
    list of Vote
        By population number.
    """
    labels = np.asarray(labels, dtype=np.int64)
    if len(types) != len(labels):
        raise StarkinError(f"There are {len(types)} object types for {len(labels)} stars.")
    if isinstance(types, np.ma.MaskedArray):
        types = types.filled("")
    codes = np.array(["" if t is None else str(t).strip() for t in types], dtype=object)
    known = sorted({code for code in codes if code})
    name_of = {code: (grouping(code) if grouping else code) for code in known}
    names = sorted(set(name_of.values()))
    place = {code: names.index(name) for code, name in name_of.items()}
    index = np.array([place.get(code, -1) for code in codes], dtype=np.int64)
    sample = np.bincount(index[index >= 0], minlength=len(names))
    return [
        _vote(number, index[labels == number], names, sample)
        for number in range(int(labels.max(initial=-1)) + 1)
    ]


def _vote(number: int, index: np.ndarray, names: list[str], sample: np.ndarray) -> Vote:
    unmatched = int((index < 0).sum())
    counts = np.bincount(index[index >= 0], minlength=len(names))
    matched = int(counts.sum())
    if not matched:
        return Vote(number, "", 0, 0, unmatched, {}, np.nan, np.nan, "", np.nan)
    share = counts[counts > 0] / matched
    tail = hypergeom.sf(counts - 1, sample.sum(), sample, matched)
    tail = np.where(counts > 0, tail, 1.0)
    winner, excess = int(counts.argmax()), int(tail.argmin())
    order = [int(i) for i in np.argsort(-counts, kind="stable") if counts[i]]
    return Vote(
        population=number,
        winner=names[winner],
        votes=int(counts[winner]),
        matched=matched,
        unmatched=unmatched,
        counts={names[i]: int(counts[i]) for i in order},
        entropy=float(max(0.0, -np.sum(share * np.log2(share)))),
        p=float(tail[winner]),
        excess=names[excess],
        excess_p=float(min(1.0, tail[excess] * (sample > 0).sum())),
    )


def vote_columns(votes: Sequence[Vote]) -> dict[str, list[Any]]:
    """Columns of :attr:`Discovery.populations`, one row a population."""
    return {
        "simbad_type": [v.winner for v in votes],
        "simbad_votes": [v.votes for v in votes],
        "simbad_matched": [v.matched for v in votes],
        "simbad_entropy": [v.entropy for v in votes],
        "simbad_p": [v.p for v in votes],
        "simbad_excess": [v.excess for v in votes],
        "simbad_excess_p": [v.excess_p for v in votes],
    }


def vote_counts(votes: Sequence[Vote]) -> dict[str, dict[str, int]]:
    """The ``votes`` part of :attr:`Discovery.statistics`: counts of types by population."""
    return {
        str(v.population): {**v.counts, **({UNMATCHED: v.unmatched} if v.unmatched else {})}
        for v in votes
    }
