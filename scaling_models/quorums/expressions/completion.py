"""Who completes a quorum."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scaling_models.latency import Distribution
from scaling_models.latency.quadrature import gauss, panels
from scaling_models.quorums.expressions.expression import Expression

Array = NDArray[np.float64]
TIE = 1e-12  # relative distance of two times that are the same
LEAST = 1e-300  # s: before an atom at 0


def completion(expression: Expression, latencies: Mapping[str, Distribution]) -> dict[str, float]:
    """P(replica i's reply is the one that completes the quorum), for every replica. Exact.

    int [Q(p_i = 1) - Q(p_i = 0)] dF_i(t) at p_j = F_j(t): Gauss nodes where F_i has a density; at an atom the tie is
    broken evenly, by spreading the atoms there over one common unit of u.
    """
    names = expression.names()
    return dict(zip(names, _completion(expression, tuple(latencies[name] for name in names)), strict=True))


@functools.lru_cache(maxsize=32)  # large samples take their time, and most sliders leave them as they are
def _completion(expression: Expression, laws: tuple[Distribution, ...]) -> tuple[float, ...]:
    cuts = np.unique(np.concatenate([law.cuts for law in laws]))
    latencies = dict(zip(expression.names(), laws, strict=True))
    return tuple(_deciding(expression, name, latencies, cuts) for name in latencies)


def _deciding(expression: Expression, name: str, latencies: Mapping[str, Distribution], cuts: Array) -> float:
    own = latencies[name]
    total = 0.0
    if len(cuts) > 1 and not own.discrete:
        t, w = panels(cuts)
        others = {other: law.cdf(t) for other, law in latencies.items()}
        total += float((w * own.pdf(t) * influence(expression, name, others)).sum())
    places, masses = own.atom_table
    if len(places):
        before, after = places * (1.0 - TIE) - LEAST, places * (1.0 + TIE)  # what only rounding tells apart is one
        found = {other: (law.cdf(before), law.cdf(after)) for other, law in latencies.items()}
        tied = np.zeros(len(places), bool)
        for other, (low, high) in found.items():
            tied |= (high > low) & (other != name)
        for some, nodes in ((tied, len(latencies) // 2 + 1), (~tied, 1)):
            u, w = gauss(nodes)
            others = {each: low[some, None] + (high - low)[some, None] * u for each, (low, high) in found.items()}
            if some.any():
                total += float(masses[some] @ influence(expression, name, others) @ w)
    return total


def influence(expression: Expression, name: str, probabilities: Mapping[str, Any]) -> Array:
    """By how much the replica changes the chance of a quorum: that with it less that without it."""
    shape = np.shape(probabilities[name])  # an expression of this replica alone depends on no other
    with_it = expression.evaluate({**probabilities, name: np.ones(shape)})
    return with_it - expression.evaluate({**probabilities, name: np.zeros(shape)})
