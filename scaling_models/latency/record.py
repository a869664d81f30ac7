"""The declaration of a parameter that is a latency."""

from __future__ import annotations

from scaling_models.latency.adapters import as_latency
from scaling_models.latency.distribution import Distribution
from scaling_models.parameters import Declared, Record


def _kinds() -> tuple[type[Declared], ...]:
    from scaling_models.latency import KINDS  # late: the kinds are collected above this file

    return KINDS


LATENCY = Record(
    "a latency: one of the package's distributions, a SciPy distribution of a non-negative time, or seconds",
    base=lambda: Distribution,
    kinds=_kinds,
    adapt=as_latency,
)
