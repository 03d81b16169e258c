"""The intrinsic scatter that makes residuals most likely."""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import minimize_scalar

from starkin.nets.intrinsic import intrinsic_variance


def test_equal_errors_have_a_closed_form() -> None:
    """With one σ for all, s² = mean r² − σ², or 0 where that is negative."""
    squares = torch.tensor([[4.0, 0.5], [2.0, 0.5]], dtype=torch.float64)
    found = intrinsic_variance(squares, torch.ones(2, 2).double(), torch.ones(2, 2).bool())
    torch.testing.assert_close(found, torch.tensor([2.0, 0.0], dtype=torch.float64))


def test_unequal_errors_agree_with_a_search() -> None:
    draw = np.random.default_rng(0)
    variance = draw.uniform(0.1, 2.0, size=(300, 1))
    squares = (variance + 0.7) * draw.normal(size=(300, 1)) ** 2
    found = intrinsic_variance(
        torch.from_numpy(squares), torch.from_numpy(variance), torch.ones(300, 1).bool()
    )

    def minus_log(s2: float) -> float:
        return float((squares / (variance + s2) + np.log(variance + s2)).sum())

    best = minimize_scalar(minus_log, bounds=(0, 5), method="bounded", options={"xatol": 1e-9})
    np.testing.assert_allclose(found, best.x, rtol=1e-5)


def test_masked_residuals_do_not_count() -> None:
    squares = torch.tensor([[3.0], [3.0], [1e6]], dtype=torch.float64)
    used = torch.tensor([[True], [True], [False]])
    found = intrinsic_variance(squares, torch.ones(3, 1).double(), used)
    torch.testing.assert_close(found, torch.tensor([2.0], dtype=torch.float64))
