"""One FIFO server whose services are a mixture of exponentials, fed by Erlang gaps: E_N/H_m/1, by its roots."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import optimize

from scaling_models.latency.quadrature import Array

TINY = 1e-200  # a gap's transform below it has no digits left to divide by
NOTHING = 1e-40  # of the smallest pole: nearer to zero than any root
HAIR = 1e-15  # how far from the pole below it a root is looked for
MOST_TURNS = 2000  # of a root search: roots may lie as near to a pole as 1e-200


class Branched(NamedTuple):
    """P(W > t) = sum_i waits_i e^{-rates_i t} of the wait W, and P(W + S > t) = sum_i latencies_i e^{-rates_i t}."""

    rates: Array
    waits: Array
    latencies: Array


def branched_times(gap: float, stages: int, branches: Sequence[tuple[float, float]]) -> Branched:
    """Wait and latency of E_N/H_m/1 at a utilization below 1, all weights positive.

    With A(x) = (1 + x gap/N)^-N of the gaps (mean s, N stages) and B(x) = sum_i p_i m_i/(m_i + x) of the services
    (`branches`: p_i and m_i, 1/s), the rates are the m positive roots x_i of A(x) B(-x) = 1, one below each m_i, and
    the wait has the transform prod_i x_i (m_i + s)/(m_i (x_i + s)). The latency's is that times B(s), of which the
    poles cancel: its weights are the wait's over A(x_i). Exact to about 1e-12 over 1 less the utilization.
    Smith, On the distribution of queueing times, 1953.
    """
    known: dict[float, float] = {}
    for share, rate in branches:
        known[rate] = known.get(rate, 0.0) + share
    poles = np.array(sorted(known))
    weights = np.array([known[rate] for rate in poles]) * poles
    below = np.array([_below(gap, stages, poles, weights, place) for place in range(1, len(poles))])
    least = _smallest(gap, stages, poles, weights / poles)
    first = float(poles[0]) - least if least else _below(gap, stages, poles, weights, 0)
    below = np.concatenate([[first], below])
    roots = poles - below
    roots[0] = least or roots[0]
    away = poles - roots[:, None]
    np.fill_diagonal(away, 1.0)
    apart = roots - roots[:, None]
    np.fill_diagonal(apart, 1.0)
    each = np.prod(away / apart, axis=1) * np.prod(roots / poles) / roots
    gaps = np.array([_transform(gap, stages, root) for root in roots])
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(gaps > TINY, below / gaps, weights)
    latencies = each * ratios
    return Branched(roots, each * below, latencies / latencies.sum())


def _transform(gap: float, stages: int, x: float) -> float:
    return math.exp(-stages * math.log1p(x * gap / stages))


def _smallest(gap: float, stages: int, poles: Array, shares: Array) -> float:
    """The smallest root if it is nearer to zero than to its pole, else 0: by (B(-x) - 1)/x = (1/A(x) - 1)/x.

    Nothing cancels there, and zero, a root of A(x) B(-x) = 1 as well, is none. Raises `ArithmeticError` at a
    utilization that cannot be told from 1.
    """

    def above(x: float) -> float:
        return float((shares / (poles - x)).sum()) - math.expm1(stages * math.log1p(x * gap / stages)) / x

    near, half = NOTHING * float(poles[0]), float(poles[0]) / 2.0
    if above(near) >= 0.0:
        raise ArithmeticError(f"a utilization of 1 to rounding, of gaps of {gap:g} s")
    if above(half) <= 0.0:
        return 0.0
    return float(optimize.brentq(above, near, half, xtol=1e-300, rtol=1e-15, maxiter=MOST_TURNS))


def _below(gap: float, stages: int, poles: Array, weights: Array, place: int) -> float:
    """How far below the pole its root lies, in relative precision."""
    others = np.arange(len(poles)) != place
    far, own, top = weights[others], float(weights[place]), float(poles[place])
    gaps = poles[others] - top

    def above(down: float) -> float:
        return _transform(gap, stages, top - down) * (own + down * float((far / (gaps + down)).sum())) - down

    end = float(top - poles[place - 1]) * (1.0 - HAIR) if place else top / 2.0
    if not above(0.0) > 0.0:  # so near that it underflows
        return 0.0
    return float(optimize.brentq(above, 0.0, end, xtol=1e-300, rtol=1e-15, maxiter=MOST_TURNS))
