"""Processor sharing: a server that serves all its requests at once, each at an equal share of its speed."""

from __future__ import annotations

import functools

import numpy as np
from scipy.linalg import eigh_tridiagonal

from scaling_models.answers import NoClosedForm
from scaling_models.latency import Distribution
from scaling_models.latency.distribution import Array
from scaling_models.pools.formulas.erlang import erlang_c
from scaling_models.pools.formulas.lattices import USED, cells, excess
from scaling_models.pools.formulas.single_server import compound_waits

ANGLES = 512  # nodes of the integral for one worker
STEPS = (250, 500, 1000)  # of the Lanczos recursion for several, until the mean is met
MOST_STATES = 25_000  # of their chain: the recursion takes a second
MET = 1e-9  # how near the mixture's mean comes to the exact one
LATTICE_STEPS = (0.02, 0.5, 12.0)  # mean services
COUNT = 4096  # nodes of each lattice
POINTS = int(USED * COUNT)
EDGE = 40.0  # states of the chain over 1 - load: less than 1e-16 of the probability lies beyond
RARE = 1e-40  # of the likeliest state's chance: states below are left out


def below_capacity(owner: str, load: float) -> None:
    """Raise ValueError unless the load lies in (0, 1)."""
    if not 0.0 < load < 1.0:
        raise ValueError(f"{owner}: the load must lie in (0, 1); got {load!r}")


def shared_mean(arrival_rate: float, mean_service: float, workers: int = 1) -> float:
    """Mean response time (s) of M/G/k with processor sharing: that of M/M/k, whatever the service.

    E[T] = m + C(k, a) m / (k - a) for a = lambda m erlangs; m / (1 - rho) for one worker. Exact: the queue is
    symmetric, so that its number of requests depends on the service by its mean only. Kelly, Reversibility and
    Stochastic Networks, section 3.3.
    """
    load = arrival_rate * mean_service
    return mean_service * (1.0 + float(erlang_c(workers, load)) / (workers - load))


@functools.lru_cache(maxsize=64)
def sharing_spectrum(arrival_rate: float, rate: float, workers: int = 1) -> tuple[Array, Array]:
    """The response time of M/M/k with processor sharing as a mixture of exponentials: their rates (1/s), and weights.

    A request that finds j others is the only absorbing one of a birth-death chain of the others: up with lambda, down
    with mu j min(j + 1, k)/(j + 1), done with mu min(j + 1, k)/(j + 1). Made symmetric, its spectral measure as seen
    from the stationary distribution is positive, and the weights of its Gauss quadrature are the mixture's. For one
    worker the measure is known: Morrison, SIAM J. Appl. Math. 45 (1985). Exact to 1e-9 relative of the ccdf down to
    1e-9 for loads up to 0.95, to 1e-4 up to 0.99. Raises NoClosedForm where the mixture's mean misses `shared_mean` by
    more than 1e-9, as it does above a load of 0.998 (of one worker 0.9999).
    """
    rates, weights = (
        _one_worker(arrival_rate / rate, rate) if workers == 1 else _several_workers(arrival_rate, rate, workers)
    )
    missed = abs(float((weights / rates).sum()) / shared_mean(arrival_rate, 1.0 / rate, workers) - 1.0)
    if not missed <= MET:
        raise NoClosedForm(
            f"sharing at load {arrival_rate / rate / workers:.6g} is too near capacity for its quantiles: simulate it"
        )
    return rates, weights


def _one_worker(load: float, rate: float) -> tuple[Array, Array]:
    """2 (1 - rho) sin(x) e^{(2 phi - x) cot x} / (1 + e^{pi cot x}) / w^2 dx, w = 1 + rho - 2 sqrt(rho) cos x,
    phi = arg(cos x - sqrt(rho) + i sin x), x from 0 to pi: it vanishes at both ends with all its derivatives, so that
    the trapezoidal rule converges faster than any power; x = pi u^2 resolves small angles, which rule the tail.
    """
    u = np.arange(1, ANGLES) / ANGLES
    x = np.pi * u * u
    root = np.sqrt(load)
    each = 1.0 + load - 2.0 * root * np.cos(x)
    cot = 1.0 / np.tan(x)
    phi = np.arctan2(np.sin(x), np.cos(x) - root)
    heights = np.exp((2.0 * phi - x) * cot - np.logaddexp(0.0, np.pi * cot)) * np.sin(x) * u / each**2
    seen = heights > 1e-300
    return rate * each[seen], heights[seen] / heights.sum()


def _several_workers(arrival_rate: float, rate: float, workers: int) -> tuple[Array, Array]:
    load = arrival_rate / rate / workers
    last = EDGE / (1.0 - load) + 50 + 2 * workers
    if last > MOST_STATES + 2 * workers:
        return np.full(1, rate), np.zeros(1)  # which misses the mean
    others = np.arange(int(last))
    busy = np.minimum(others + 1.0, workers)
    logs = np.concatenate([[0.0], np.cumsum(np.log(arrival_rate / rate / busy[:-1]))])
    chance = np.exp(logs - logs.max())
    seen = chance > RARE
    others, busy, chance = others[seen], busy[seen], chance[seen]
    diagonal = arrival_rate + rate * busy
    beside = -np.sqrt(arrival_rate * rate * busy[1:] * others[1:] / (others[1:] + 1.0))
    start = np.sqrt(chance / chance.sum() * busy / (others + 1.0))
    return _lanczos(diagonal, beside, start, shared_mean(arrival_rate, 1.0 / rate, workers))


def _lanczos(diagonal: Array, beside: Array, start: Array, mean: float) -> tuple[Array, Array]:
    """Rates and weights of the mixture: the Gauss quadrature of a symmetric tridiagonal matrix's spectrum as seen from
    `start`, of as many nodes as it takes to meet the mean, or the most that are tried.
    """
    now, before = start / np.linalg.norm(start), np.zeros_like(start)
    kept: list[float] = []
    joined: list[float] = []
    for step in range(1, min(STEPS[-1], len(start)) + 1):
        ahead = diagonal * now
        ahead[1:] += beside * now[:-1]
        ahead[:-1] += beside * now[1:]
        if joined:
            ahead -= joined[-1] * before
        kept.append(float(ahead @ now))
        ahead -= kept[-1] * now
        joined.append(float(np.linalg.norm(ahead)))
        now, before = ahead / joined[-1], now
        if step in STEPS or step == len(start):
            rates, vectors = eigh_tridiagonal(np.array(kept), np.array(joined[:-1]))
            weights = vectors[0] ** 2 / rates
            weights /= weights.sum()
            if abs(float((weights / rates).sum()) / mean - 1.0) <= MET:
                break
    return np.asarray(rates, dtype=float), np.asarray(weights, dtype=float)


def conditional_variance(arrival_rate: float, service: Distribution, sizes: Array) -> Array:
    """Var(T | S = x) (s^2) at each of the ascending `sizes` x > 0 (s): M/G/1 with processor sharing, below capacity.

    2/(1 - rho)^2 int_0^x (x - y) P(W > y) dy with W the wait of the same M/G/1 queue under FIFO; E[T | S = x] is
    x/(1 - rho). Zwart and Boxma, Queueing Systems 35 (2000). On lattices to 1e-3 relative; for x beyond
    50,000 mean services by the power law that they end in.
    """
    load, mean = arrival_rate * service.mean(), service.mean()
    found = np.zeros(len(sizes))
    done, curve = 0, _TwiceIntegrated()
    for step in LATTICE_STEPS:
        if done < len(sizes):
            curve = curve.followed_by(wait_ccdf(load, service, step * mean), step * mean)
            last = int(np.searchsorted(sizes, curve.places[-1], side="right"))
            found[done:last] = curve(sizes[done:last])
            done = last
    found[done:] = curve.beyond(sizes[done:])
    return 2.0 / (1.0 - load) ** 2 * found


class _TwiceIntegrated:
    """int_0^x (x - y) S(y) dy for a ccdf S that is linear between its places."""

    def __init__(self) -> None:
        self.places, self.once, self.twice = np.zeros(1), np.zeros(1), np.zeros(1)
        self.ccdf, self.slope = np.zeros(1), np.zeros(1)

    def followed_by(self, ccdf: Array, step: float) -> _TwiceIntegrated:
        """Goes on from its end with a ccdf known at k step."""
        next_ = _TwiceIntegrated()
        places = np.arange(len(ccdf)) * step
        start = self.places[-1]
        later = places > start
        next_.places = np.concatenate([[start], places[later]])
        next_.ccdf = np.concatenate([[np.interp(start, places, ccdf)], ccdf[later]])
        width, near, far = np.diff(next_.places), next_.ccdf[:-1], next_.ccdf[1:]
        next_.once = np.cumsum(np.concatenate([self.once[-1:], width * (near + far) / 2.0]))
        grown = width * next_.once[:-1] + width**2 * (2.0 * near + far) / 6.0
        next_.twice = np.cumsum(np.concatenate([self.twice[-1:], grown]))
        next_.slope = np.append((far - near) / width, 0.0)
        return next_

    def __call__(self, x: Array) -> Array:
        at = np.searchsorted(self.places, x, side="right") - 1
        away = x - self.places[at]
        return np.asarray(
            self.twice[at] + away * (self.once[at] + away * (self.ccdf[at] + away * self.slope[at] / 3.0) / 2.0)
        )

    def beyond(self, x: Array) -> Array:
        """By the power law that it ends in."""
        last, value = self.places[-1], self.twice[-1]
        return np.asarray(value * (x / last) ** (last * self.once[-1] / value))


def wait_ccdf(load: float, service: Distribution, step: float) -> Array:
    """P(W > k h), k < POINTS, h = `step`: the wait of M/G/1 under FIFO, see `compound_waits`."""
    _, beyond = excess(service, step * COUNT)
    return load * compound_waits(load, cells(service, step, COUNT, float(beyond[0])).residual())[:POINTS]
