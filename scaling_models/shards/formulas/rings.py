"""How a ring of random tokens divides the key space: the share of one node, and the largest of all."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import integrate, special

FEW_TOKENS = 1e5  # the inverse beta of scipy is right; from a million on it answers nonsense
STEPS = 4


def share_cv(virtual_nodes: ArrayLike, nodes: ArrayLike) -> Any:
    """Coefficient of variation sqrt((N - 1)/(v N + 1)) of the share s ~ Beta(v, v (N - 1)) of one of N nodes with v
    random tokens each. Exact.
    """
    v, n = np.asarray(virtual_nodes, dtype=float), np.asarray(nodes, dtype=float)
    return np.sqrt((n - 1.0) / (v * n + 1.0))[()]


def share_quantile(q: ArrayLike, virtual_nodes: ArrayLike, nodes: ArrayLike) -> Any:
    """The quantile at q of one node's share, s ~ Beta(v, v (N - 1)). Exact, to about 1e-8.

    Wise's approximation 1 - exp(-g/(v (N - 1) + (v - 1)/2)), g the quantile of Gamma(v), then steps of Newton:
    scipy's own inverse is off by up to the whole number from a million tokens on.
    """
    levels, v, n = np.broadcast_arrays(*(np.asarray(each, dtype=float) for each in (q, virtual_nodes, nodes)))
    rest = np.maximum(v * (n - 1.0), 1e-300)
    few = v * n <= FEW_TOKENS
    found = -np.expm1(-special.gammaincinv(v, levels) / (rest + (v - 1.0) / 2.0))
    log_beta = special.betaln(v, rest)
    for _ in range(STEPS):
        density = np.exp(special.xlogy(v - 1.0, found) + special.xlog1py(rest - 1.0, -found) - log_beta)
        step = np.divide(
            special.betainc(v, rest, found) - levels, density, out=np.zeros(found.shape), where=density > 0
        )
        found = np.clip(found - step, 0.9 * found, 1.1 * found)
    exact = special.betaincinv(v, np.where(few, rest, 1.0), levels)
    return np.where(n <= 1.0, 1.0, np.where(few, exact, found))[()]


def largest_share_mean(virtual_nodes: float, nodes: int) -> float:
    """E[largest share] of N nodes with v random tokens each, N E[max s] = E[max of N independent Gamma(v, 1/v)].

    Exact, for the largest over the sum of independent gammas is independent of their sum. v = 1 gives the harmonic
    number H_N.
    """
    scale = 1.0 / virtual_nodes
    middle = float(special.gammainccinv(virtual_nodes, min(0.5, 1.0 / nodes))) * scale
    width = float(share_cv(virtual_nodes, nodes)) + scale

    def beyond(x: float) -> float:
        return float(-np.expm1(nodes * special.log1p(-special.gammaincc(virtual_nodes, x * virtual_nodes))))

    ends = [0.0, *(end for end in middle + width * np.array([-4.0, -1.0, 0.0, 1.0, 4.0, 16.0, 64.0]) if end > 0)]
    areas = [integrate.quad(beyond, low, high, epsabs=1e-13, limit=200)[0] for low, high in itertools.pairwise(ends)]
    return sum(areas) / nodes


def largest_share_quantile(q: ArrayLike, virtual_nodes: float, nodes: int) -> Any:
    """The quantile at q of the largest share: that of one node at q^(1/N), as if nodes were independent.

    Nodes repel each other, so that it is exact in the upper tail; at levels from 0.9 on it is within 1% with ten nodes
    or more, 2% with fewer.
    """
    return share_quantile(np.asarray(q, dtype=float) ** (1.0 / nodes), virtual_nodes, nodes)


def successors_variance(virtual_nodes: float, nodes: int, replicas: int) -> float:
    """Var(C) of the gaps that one token serves when each key goes to the next R distinct of N nodes; E[C] = R.

    Walk back from the token. With r other nodes seen so far, the token before is of the node itself in proportion v - 1
    (stop: that token serves what lies before), of one seen r (v - 1), of a new one (N - 1 - r) v; R others seen end it.
    """
    first, second = 0.0, 0.0  # moments of the gaps still to come, from r = R (none) down
    for seen in range(replicas - 1, -1, -1):
        left = nodes * virtual_nodes - 1.0 - seen
        stay, advance = seen * (virtual_nodes - 1.0) / left, (nodes - 1 - seen) * virtual_nodes / left
        mean = (1.0 + advance * first) / (1.0 - stay)
        square = (1.0 + 2.0 * (stay * mean + advance * first) + advance * second) / (1.0 - stay)
        first, second = mean, square
    return second - first * first


def replicated_cv(virtual_nodes: float, nodes: int, replicas: int) -> float:
    """Coefficient of variation of what one node holds when each key lies on the next R distinct nodes of the ring.

    CV^2 = (1 - R/N) N/(R (v N + 1)) (1 + Var(C)/R). Exact for R = 1 (`share_cv`) and for one token a node, where it is
    that of R neighbouring gaps, Beta(R, N - R); within 3% from twelve nodes on, 8% from six on.
    """
    if replicas == 1:
        return float(share_cv(virtual_nodes, nodes))
    more = successors_variance(virtual_nodes, nodes, replicas) / replicas
    even = max(1.0 - replicas / nodes, 0.0) * nodes / (replicas * (virtual_nodes * nodes + 1.0))
    return float(np.sqrt(even * (1.0 + more)))
