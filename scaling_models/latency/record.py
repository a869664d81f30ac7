"""The declaration of a parameter that is a latency."""

from __future__ import annotations

from typing import Any

from scaling_models.domains import Illegal, Record
from scaling_models.latency.adapters import as_latency
from scaling_models.latency.distribution import Distribution
from scaling_models.parameters import Declared


def _kinds() -> tuple[type[Declared], ...]:
    from scaling_models.latency import KINDS  # late: the kinds are collected above this file

    return KINDS


LATENCY = Record(
    "a latency: one of the package's distributions, a SciPy distribution of a non-negative time, or seconds",
    base=lambda: Distribution,
    kinds=_kinds,
    adapt=as_latency,
)


def _with_spread(value: Any) -> Any:
    adapted = as_latency(value)
    if isinstance(adapted, Distribution) and not adapted.spread_known:
        raise Illegal("must be a latency whose spread is known: much depends on it, and of this one only the mean is")
    return adapted


SPREAD = Record(LATENCY.about, base=LATENCY.base, kinds=LATENCY.kinds, adapt=_with_spread)
"""Of what is waited for in a queue, or raced against: a mean alone (`MeanOnly`) is refused."""
