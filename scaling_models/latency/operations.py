"""The algebra as its users write it: a + b, a * 2, slowest, fastest, k_of_n, mixture, hedge."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scaling_models.domains import is_number
from scaling_models.latency.adapters import as_latency
from scaling_models.latency.affine import Scaled, Shifted
from scaling_models.latency.distribution import Distribution
from scaling_models.latency.hedges import Hedge
from scaling_models.latency.mixtures import Mixture
from scaling_models.latency.order_statistics import KOfN
from scaling_models.latency.shared import SharedKOfN
from scaling_models.latency.sums import Sum
from scaling_models.latency.terms import without


def add(first: Distribution, second: Any) -> Distribution:
    """One after the other, independent; a plain number of seconds is a shift."""
    if is_number(second):
        return first if second == 0 else Shifted(first, second)
    return Sum(first.summands + as_latency(second).summands)


def scale(latency: Distribution, factor: Any) -> Distribution:
    """The latency times a positive number."""
    return Scaled(latency, factor)


def slowest(*distributions: Any, shared: Any = None) -> Distribution:
    """The latest of independent latencies: cdf the product of the cdfs. Exact."""
    return k_of_n(len(distributions), distributions, shared=shared)


def fastest(*distributions: Any, shared: Any = None) -> Distribution:
    """The earliest of independent latencies: ccdf the product of the ccdfs. Exact."""
    return k_of_n(1, distributions, shared=shared)


def k_of_n(k: int, distributions: Sequence[Any], *, shared: Any = None) -> Distribution:
    """The k-th smallest of several latencies, equal or different; independent but for a `shared` delay. Exact.

    `shared` is a latency drawn once for all parts that have it as a term (`nic + disk`, `nic + disk + 0.005`): they
    wait for it, the others do not. If no part mentions it, all wait for it. What equals it, is it. Raises ValueError
    where it is hidden in a part otherwise than as a term, or is a constant, which is no dependence.
    """
    parts = tuple(as_latency(part) for part in distributions)
    if not parts:
        raise ValueError("slowest, fastest and k_of_n must be given one latency at least; got none")
    if shared is None:
        return KOfN(k, parts)
    delay = as_latency(shared)
    rests = [without(part, delay) for part in parts]
    delayed = tuple(rest for rest in rests if rest is not None)
    free = tuple(part for part, rest in zip(parts, rests, strict=True) if rest is None)
    return SharedKOfN(k, delayed, free, delay) if delayed else Sum((delay, KOfN(k, parts)))


def mixture(weights: Sequence[float], distributions: Sequence[Any]) -> Distribution:
    """One of several latencies, chosen with the given weights (they sum to 1). Exact."""
    return Mixture(tuple(weights), tuple(distributions))


def hedge(distribution: Any, after: float, *, shared: Any = None) -> Distribution:
    """A second, independent copy sent `after` seconds, the first answer taken. Exact.

    A `shared` delay comes before both copies: it is drawn once, and hedging cannot help against it.
    """
    if shared is None:
        return Hedge(distribution, after)
    delay, part = as_latency(shared), as_latency(distribution)
    rest = without(part, delay)
    return Sum((delay, Hedge(part if rest is None else rest, after)))
