"""One server that serves short requests first: mean responses in M/G/1. Exact, for services with a density."""

from __future__ import annotations

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import NDArray

from scaling_models.latency import Distribution
from scaling_models.latency.quadrature import gauss, graded, panels
from scaling_models.wording import short

Array = NDArray[np.float64]
NODES = 16  # a panel
LEAST, MOST = 1e-3, 40.0  # predictions, in units of the least and the largest size


class Sizes:
    """Services of M/G/1 on Gauss panels, with what those up to each size add up to (s, and s^2 for the second moment).

    `load` is lambda int_0^x s f(s) ds and `second` lambda int_0^x s^2 f(s) ds, at every node x. Raises ValueError for a
    service with atoms, and for a rate that is not positive or overloads the server.
    """

    def __init__(self, arrival_rate: float, service: Distribution) -> None:
        if not 0 < arrival_rate * service.mean() < 1:
            raise ValueError(
                f"arrival_rate x mean service must lie in (0, 1); got {arrival_rate!r} requests/s and "
                f"{service.mean()!r} s"
            )
        if service.atoms or service.hidden_atoms:
            raise ValueError(f"the service must have a density, so that no two are of one size; got {short(service)}")
        edges = graded([service.support[0], *service.cuts], 0.0)
        self.rate, self.service = arrival_rate, service
        self.size, self.width = panels(edges, NODES)
        self.density = service.pdf(self.size) * self.width
        self.late = service.ccdf(self.size)
        self.load = arrival_rate * self._below(self.size)
        self.second = arrival_rate * self._below(self.size**2)

    def _below(self, values: Array) -> Array:
        """int_0^x values f at every node x: the panels before, and of its own the polynomial through its nodes."""
        each = (values * self.density).reshape(-1, NODES)
        whole = each.sum(axis=1)
        before = np.cumsum(whole) - whole
        return np.asarray((before[:, None] + (each / gauss(NODES)[1]) @ _partial().T).ravel())

    def mean(self, values: Array) -> float:
        """The mean of a value over the sizes."""
        return float(values @ self.density)


def _partial() -> Array:
    """int_0^{x_i} of the polynomial that is 1 at Gauss node x_j of [0, 1] and 0 at the others (i, j)."""
    x = 2.0 * gauss(NODES)[0] - 1.0
    values = legendre.legvander(x, NODES)
    order = np.arange(1, NODES)
    parts = np.column_stack([x + 1.0, (values[:, 2:] - values[:, :-2]) / (2 * order + 1)]) / 2.0
    return np.asarray(np.linalg.solve(values[:, :-1].T, parts.T).T)


def sjf(arrival_rate: float, service: Distribution) -> float:
    """Mean response (s) of shortest job first, without interruption: E[S] + lambda E[S^2]/2 E[1/(1 - load(S))^2].

    Phipps, Machine repair as a priority waiting-line problem, 1956.
    """
    sizes = Sizes(arrival_rate, service)
    work = arrival_rate * (service.variance() + service.mean() ** 2) / 2.0
    return service.mean() + work * sizes.mean((1.0 - sizes.load) ** -2)


def psjf(arrival_rate: float, service: Distribution) -> float:
    """Mean response (s) of preemptive shortest job first: the mean of x/(1 - load(x)) + second(x)/2/(1 - load(x))^2.

    Harchol-Balter, Performance Modeling and Design of Computer Systems, 2013, chapter 32.
    """
    sizes = Sizes(arrival_rate, service)
    spare = 1.0 - sizes.load
    return sizes.mean(sizes.size / spare + sizes.second / 2.0 / spare**2)


def srpt(arrival_rate: float, service: Distribution) -> float:
    """Mean response (s) of shortest remaining processing time, the least that any order of service can reach.

    The mean of int_0^x ds/(1 - load(s)) + (second(x) + lambda x^2 P(S > x))/2/(1 - load(x))^2. Schrage and Miller, The
    queue M/G/1 with the shortest remaining processing time discipline, 1966.
    """
    sizes = Sizes(arrival_rate, service)
    spare = 1.0 - sizes.load
    started = sizes.second + arrival_rate * sizes.size**2 * sizes.late
    # The mean of the residence is an integral by parts: of P(S > s)/(1 - load(s)).
    least = service.support[0]
    return least + float((sizes.late / spare) @ sizes.width) + sizes.mean(started / 2.0 / spare**2)


class Predictions:
    """What is predicted of M/G/1's services: of one of size s an exponential time with mean s.

    At every node of the predictions y: `share` (their probability), `sizes` (the mean size of those predicted y, times
    their share), and `load` and `second` as in `Sizes`, of those predicted to be below y.
    """

    def __init__(self, arrival_rate: float, service: Distribution) -> None:
        known = Sizes(arrival_rate, service)
        edges = graded([0.0, LEAST * known.size[0], *service.cuts, MOST * known.size[-1]], 0.0)
        y, width = panels(edges, NODES)
        ratio = y[:, None] / known.size
        late = np.exp(-np.minimum(ratio, 700.0))
        self.share = (late / known.size) @ known.density * width
        self.sizes = late @ known.density * width
        self.load = arrival_rate * (-np.expm1(-ratio) @ (known.size * known.density))
        self.second = arrival_rate * (-np.expm1(-ratio) @ (known.size**2 * known.density))


def spjf(arrival_rate: float, service: Distribution) -> float:
    """Mean response (s) of shortest predicted job first, without interruption, predictions as in `Predictions`.

    As `sjf`, by the load of what is predicted below y. Mitzenmacher, Scheduling with predictions and the price of
    misprediction, 2020.
    """
    predicted = Predictions(arrival_rate, service)
    work = arrival_rate * (service.variance() + service.mean() ** 2) / 2.0
    return service.mean() + work * float(predicted.share @ (1.0 - predicted.load) ** -2)


def pspjf(arrival_rate: float, service: Distribution) -> float:
    """Mean response (s) of preemptive shortest predicted job first, predictions as in `Predictions`.

    As `psjf`, by the load of what is predicted below y. Mitzenmacher, Scheduling with predictions and the price of
    misprediction, 2020.
    """
    predicted = Predictions(arrival_rate, service)
    spare = 1.0 - predicted.load
    return float((predicted.sizes / spare + predicted.share * predicted.second / 2.0 / spare**2).sum())
