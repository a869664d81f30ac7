"""A latency as terms and a constant, and what is left of it without a delay that it shares with others."""

from __future__ import annotations

from collections import Counter
from typing import Any

from scaling_models.latency.affine import Shifted
from scaling_models.latency.distribution import Distribution
from scaling_models.latency.points import Deterministic
from scaling_models.latency.sums import Sum
from scaling_models.parameters import Declared
from scaling_models.wording import short


def terms(latency: Any) -> tuple[Counter[Any], float]:
    """The random terms of a sum, each with how often it occurs, and the constant beside them (seconds)."""
    if len(latency.summands) > 1:
        parts = [terms(part) for part in latency.summands]
        return sum((random for random, _ in parts), Counter()), sum(constant for _, constant in parts)
    if isinstance(latency, Shifted):
        random, constant = terms(latency.distribution)
        return random, constant + latency.by
    if isinstance(latency, Deterministic) and latency.spread_known:
        return Counter(), latency.value
    return Counter([latency]), 0.0


def without(latency: Any, delay: Any) -> Distribution | None:
    """The latency less a delay that is among its terms; None where the delay does not occur in it.

    Raises ValueError where the delay is constant, or occurs in it otherwise than as a term.
    """
    (inside, constant), (shared, offset) = terms(latency), terms(delay)
    if not shared:
        raise ValueError(f"a shared delay must be random, for a constant is no dependence; got {short(delay)}")
    if shared <= inside and offset <= constant:
        return _total(inside - shared, constant - offset)
    if any(_occurs(latency, term) for term in shared):
        raise ValueError(
            f"the shared delay {short(delay)} must be a term of the sum in which it occurs; got {short(latency)}"
        )
    return None


def _total(random: Counter[Any], constant: float) -> Distribution:
    parts = tuple(random.elements())
    if not parts:
        return Deterministic(constant)
    total = parts[0] if len(parts) == 1 else Sum(parts)
    return Shifted(total, constant) if constant else total


def _occurs(thing: Any, term: Any) -> bool:
    if thing == term:
        return True
    if isinstance(thing, tuple):
        return any(_occurs(each, term) for each in thing)
    return isinstance(thing, Declared) and any(_occurs(each, term) for each in thing.values().values())
