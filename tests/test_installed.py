"""The suite runs on the wheel when the Makefile says so, not on the checkout."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import starkin


def test_the_wheel_is_what_is_tested():
    expected = os.environ.get("STARKIN_EXPECTED_AT")
    if expected is None:
        pytest.skip("not run through `make test`")
    assert Path(expected) in Path(starkin.__file__).parents


def test_every_python_file_of_the_checkout_is_in_the_package():
    checkout = Path(__file__).resolve().parents[1] / "src" / "starkin"
    if not checkout.is_dir():
        pytest.skip("no checkout beside the tests")
    inside = {
        p.relative_to(checkout)
        for p in checkout.rglob("*")
        if p.is_file() and "__pycache__" not in p.parts
    }
    installed = Path(starkin.__file__).parent
    assert {str(p) for p in inside if not (installed / p).exists()} == set()
