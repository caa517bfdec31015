"""Sweeps over many values of which a few run with every change and the others with all tests."""

from collections.abc import Collection, Iterable
from typing import Any

import pytest


def sweep(values: Iterable[Any], quick: Collection[Any]) -> list:
    """Return the values for `pytest.mark.parametrize`; those not in `quick` are marked slow.

    A value may be a `pytest.param` of one value, whose marks stay.

    Raises:
        ValueError: one of `quick` is not among the values.
    """
    parameters = [each if hasattr(each, "marks") else pytest.param(each) for each in values]
    known = [parameter.values[0] for parameter in parameters]
    if missing := [each for each in quick if each not in known]:
        raise ValueError(f"not among the values of the sweep: {missing}")
    return [
        parameter
        if parameter.values[0] in quick
        else pytest.param(
            *parameter.values, id=parameter.id, marks=[*parameter.marks, pytest.mark.slow]
        )
        for parameter in parameters
    ]


def slow(*values: Any) -> Any:
    """Return a `pytest.param` of the values that runs with all tests only."""
    return pytest.param(*values, marks=pytest.mark.slow)
