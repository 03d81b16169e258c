"""What settings are refused for, and in which words."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from starkin.spectra import StarkinError
from starkin.spectra.strict import require_at_least


@dataclass(frozen=True)
class Settings:
    n: object = 3
    seed: object = 0

    def __post_init__(self) -> None:
        require_at_least(self, n=3, seed=0)


def test_whole_numbers_from_their_least_on_pass():
    Settings(3, 0)
    Settings(10**9, 7)


@pytest.mark.parametrize("value", [2, -1, 3.0, True, "3", None])
def test_anything_else_is_refused_by_name(value):
    with pytest.raises(StarkinError) as refusal:
        Settings(n=value)
    assert str(refusal.value) == (
        f"Settings.n must be a whole number of at least 3, got {value!r}."
    )
