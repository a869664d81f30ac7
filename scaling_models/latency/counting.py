"""The one counting law behind k-of-n: of several independent events, at least so many happen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special


def at_least(
    least: int, probabilities: Sequence[ArrayLike], counts: Sequence[int] | None = None
) -> NDArray[np.float64]:
    """P(at least `least` of the events happen), independent, event i with probability p_i and `counts[i]` copies.

    Poisson-binomial by the recursion s <- s (1 - p) + shift(s) p, absorbing at `least`; equal events are one binomial,
    which for a single kind is the regularised incomplete beta I_p(k, n - k + 1). Every term is positive, so that small
    results keep their relative precision. `probabilities` broadcast against each other. Exact.
    """
    copies = [1] * len(probabilities) if counts is None else list(counts)
    total = sum(copies)
    values = [np.asarray(p, dtype=float) for p in probabilities]
    shape = np.broadcast_shapes(*(p.shape for p in values)) if values else ()
    if least <= 0:
        return np.ones(shape)
    if least > total:
        return np.zeros(shape)
    if len(values) == 1:
        return np.asarray(special.betainc(least, total - least + 1, np.clip(values[0], 0.0, 1.0)))
    clipped = [(np.clip(p, 0.0, 1.0), n) for p, n in zip(values, copies, strict=True)]
    if least == 1:  # not none of them
        return np.asarray(-np.expm1(sum(special.xlog1py(n, -p) for p, n in clipped)))
    if least == total:
        return np.asarray(np.exp(sum(special.xlogy(n, p) for p, n in clipped)))
    state = np.zeros((least + 1, *shape))
    state[0] = 1.0
    for p, count in zip(values, copies, strict=True):
        state = _add_single(state, p) if count == 1 else _add_group(state, p, count)
    return np.asarray(np.clip(state[least], 0.0, 1.0))


def exactly(
    number: int, probabilities: Sequence[ArrayLike], counts: Sequence[int] | None = None
) -> NDArray[np.float64]:
    """P(just `number` of the events happen): as `at_least`, by the same recursion."""
    copies = [1] * len(probabilities) if counts is None else list(counts)
    values = [np.asarray(p, dtype=float) for p in probabilities]
    shape = np.broadcast_shapes(*(p.shape for p in values)) if values else ()
    if not 0 <= number <= sum(copies):
        return np.zeros(shape)
    values = [np.clip(p, 0.0, 1.0) for p in values]
    if len(values) == 1:
        return _binomial(copies[0], number, values[0])
    state = np.zeros((number + 2, *shape))
    state[0] = 1.0
    for p, count in zip(values, copies, strict=True):
        state = _add_single(state, p) if count == 1 else _add_group(state, p, count)
    return np.asarray(np.clip(state[number], 0.0, 1.0))


def _add_single(state: NDArray[np.float64], p: NDArray[np.float64]) -> NDArray[np.float64]:
    absorbed = state[-1] + state[-2] * p
    moved = state[:-1] * (1.0 - p)
    moved[1:] += state[:-2] * p
    return np.concatenate([moved, absorbed[None]])


def _add_group(state: NDArray[np.float64], p: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    top = len(state) - 1
    new = np.zeros_like(state)
    new[top] = state[top]
    chances = [_binomial(count, i, p) for i in range(min(count, top) + 1)]
    for have in range(top):
        need = top - have
        for more in range(min(need - 1, count) + 1):
            new[have + more] += state[have] * chances[more]
        if need <= count:
            new[top] += state[have] * special.betainc(need, count - need + 1, np.clip(p, 0.0, 1.0))
    return new


def _binomial(count: int, i: int, p: NDArray[np.float64]) -> NDArray[np.float64]:
    log_ways = -special.betaln(1 + count - i, 1 + i) - np.log1p(count)  # in logs: C(2000, 1000) overflows
    return np.asarray(np.exp(log_ways + special.xlogy(i, p) + special.xlog1py(count - i, -p)))
