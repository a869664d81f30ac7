"""Exponentially twisted latencies: the law under e^{theta T} / E e^{theta T}, with its logarithm of the normaliser."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy import special

from scaling_models.latency import (
    Deterministic,
    Distribution,
    Empirical,
    Erlang,
    Exponential,
    Hyperexponential,
    LogNormal,
    Mixture,
    Sum,
    Uniform,
)
from scaling_models.latency.affine import Affine
from scaling_models.latency.quadrature import panels
from scaling_models.montecarlo.arrays import Array

Draw = Callable[[tuple[int, ...], np.random.Generator], Array]

FARTHEST = 290.0  # decades of the ccdf that a table reaches; beyond, the tail goes on at its last rate
PACE = 0.5  # theta times the width of a bin: at least e^{-1/2} of the proposals are taken
LIGHT = 0.98  # a tail whose last rate has fallen below this part of the rate before has no moment generating function
NEAREST = 1e-4  # relative: how near to the tail's rate a table may twist


@dataclasses.dataclass(frozen=True, eq=False)
class Twist:
    """log E e^{theta T} (inf where it does not exist), and draws from the law with density e^{theta t} f(t) / E."""

    log_mgf: float
    draw: Draw


@functools.singledispatch
def twist(law: Distribution, theta: float) -> Twist:
    """The law twisted by theta (1/s): E_theta g(T) = E[e^{theta T} g(T)] / E e^{theta T}.

    Kinds that twisting maps to themselves (exponential, Erlang, sums, mixtures, shifts ...) are drawn by formula; any
    other by acceptance and rejection in quantile bins, which is exact as far as its `iccdf` is. There log E e^{theta T}
    is an integral of the ccdf, right to about 1e-9; a tail is followed to a ccdf of 1e-290 and goes on at its last rate
    beyond, and counts as heavy where that rate is seen to fall.
    """
    return Table(law, theta).twist()


@twist.register
def _(law: Exponential, theta: float) -> Twist:
    return _gamma(1.0, law.mean_, theta)


@twist.register
def _(law: Erlang, theta: float) -> Twist:
    return _gamma(float(law.stages), law.mean_ / law.stages, theta)


def _gamma(shape: float, scale: float, theta: float) -> Twist:
    left = 1.0 - theta * scale
    if left <= 0:
        return _none()
    return Twist(-shape * math.log(left), lambda size, rng: rng.standard_gamma(shape, size) * (scale / left))


def _none() -> Twist:
    def refuse(size: tuple[int, ...], rng: np.random.Generator) -> Array:
        raise ValueError("there is no such twist: the moment generating function is infinite here")

    return Twist(math.inf, refuse)


@twist.register
def _(law: Deterministic, theta: float) -> Twist:
    return Twist(theta * law.value, law._draw)


@twist.register
def _(law: Uniform, theta: float) -> Twist:
    y = theta * (law.high - law.low)
    near, far = (law.high, law.low) if y > 0 else (law.low, law.high)
    if abs(y) < 1e-8:
        return Twist(theta * law.mean(), law._draw)

    def draw(size: tuple[int, ...], rng: np.random.Generator) -> Array:
        steps = np.log1p(rng.random(size) * math.expm1(-abs(y))) / abs(y)
        return near + (near - far) * steps

    return Twist(theta * near + math.log(-math.expm1(-abs(y)) / abs(y)), draw)


@twist.register
def _(law: Empirical, theta: float) -> Twist:
    places = np.unique(np.array(law.samples), return_counts=True)
    logs = theta * places[0] + np.log(places[1] / len(law.samples))
    total = float(special.logsumexp(logs))
    rising = np.cumsum(np.exp(logs - total))

    def draw(size: tuple[int, ...], rng: np.random.Generator) -> Array:
        at = np.searchsorted(rising, rng.random(size) * rising[-1], side="right")
        return np.asarray(places[0][np.minimum(at, len(rising) - 1)])

    return Twist(total, draw)


@twist.register
def _(law: Hyperexponential, theta: float) -> Twist:
    weights, rates = zip(*law.branches, strict=True)
    return _one_of(weights, [twist(Exponential(1.0 / rate), theta) for rate in rates])


@twist.register
def _(law: Mixture, theta: float) -> Twist:
    weights, parts = zip(*law._pairs, strict=True)
    return _one_of(weights, [twist(part, theta) for part in parts])


def _one_of(weights: Sequence[float], parts: Sequence[Twist]) -> Twist:
    logs = np.log(weights) + np.array([part.log_mgf for part in parts])
    total = float(np.logaddexp.reduce(logs))
    if not total < math.inf:
        return _none()
    rising = np.cumsum(np.exp(logs - total))

    def draw(size: tuple[int, ...], rng: np.random.Generator) -> Array:
        which = np.searchsorted(rising[:-1], rng.random(size), side="right")
        drawn = parts[0].draw(size, rng)
        for i, part in enumerate(parts[1:], start=1):
            drawn = np.where(which == i, part.draw(size, rng), drawn)
        return drawn

    return Twist(total, draw)


@twist.register
def _(law: Sum, theta: float) -> Twist:
    parts = [twist(part, theta) for part in law.distributions]
    total = math.fsum(part.log_mgf for part in parts)
    return Twist(total, lambda size, rng: np.asarray(sum(part.draw(size, rng) for part in parts)))


@twist.register
def _(law: Affine, theta: float) -> Twist:
    part = twist(law.distribution, theta * law._scale)
    return Twist(part.log_mgf + theta * law._offset, lambda size, rng: law._forth(part.draw(size, rng)))


@twist.register
def _(law: LogNormal, theta: float) -> Twist:
    return _none() if theta > 0 else Table(law, theta).twist()


class Table:
    """Any law on ascending edges: E e^{theta T} = e^{theta a} (1 + theta int_a^inf e^{theta (t - a)} S(t) dt)."""

    def __init__(self, law: Distribution, theta: float) -> None:
        self.law, self.theta = law, theta

    def twist(self) -> Twist:
        """Its two faces."""
        return Twist(self.log_mgf, self.draw)

    @functools.cached_property
    def log_mgf(self) -> float:
        """Log E e^{theta T}; inf where it does not exist."""
        start, theta = self.law.support[0], self.theta
        if theta == 0:
            return 0.0
        if theta > 0 and not theta < self._rate * (1.0 - NEAREST):
            return math.inf
        t, w = panels(_edges(self.law))
        with np.errstate(divide="ignore", under="ignore"):
            logs = theta * (t - start) + np.log(self.law._ccdf(t)) + np.log(w)
        inside = float(np.exp(special.logsumexp(logs))) + self._beyond / max(self._rate, 1e-300)
        return theta * start + math.log1p(theta * inside)

    @functools.cached_property
    def _rate(self) -> float:
        """At which the tail falls at last (1/s); inf where it ends, 0 where it is heavy."""
        if math.isfinite(self.law.support[1]):
            return math.inf
        if math.isfinite(self.law.tail_index):
            return 0.0
        near, middle, far = (float(self.law.iccdf(10.0**-d)) for d in (FARTHEST / 4.0, FARTHEST / 2.0, FARTHEST))
        before, last = FARTHEST / 4.0 / (middle - near), FARTHEST / 2.0 / (far - middle)
        return math.log(10.0) * last if last > LIGHT * before else 0.0

    @functools.cached_property
    def _beyond(self) -> float:
        """e^{theta (t - a)} S(t) r / (r - theta) at the last edge: the twisted mass of a tail that falls at rate r."""
        if self.theta < 0 or math.isinf(self._rate):
            return 0.0
        last = float(_edges(self.law)[-1])
        ccdf = float(self.law._ccdf(np.array(last)))
        height = math.exp(self.theta * (last - self.law.support[0]) + math.log(max(ccdf, 1e-300)))
        return height * self._rate / (self._rate - self.theta)

    @functools.cached_property
    def _bins(self) -> tuple[Array, Array, Array]:
        """Edges, the ccdf there (1 before the first), and the chance of each bin to be proposed, rising."""
        edges = _edges(self.law)
        parts = np.maximum(1, np.ceil(abs(self.theta) * np.diff(edges) / PACE)).astype(int)
        parts = np.minimum(parts, 1000)  # where that is too few, nothing is: e^{theta t} has underflowed
        fine = [np.linspace(a, b, n, endpoint=False) for a, b, n in zip(edges[:-1], edges[1:], parts, strict=True)]
        edges = np.concatenate([edges[:1], *fine, edges[-1:]])
        ccdf = self.law._ccdf(edges)
        ccdf[0] = 1.0
        masses = -np.diff(ccdf) * np.exp(self.theta * ((edges[1:] if self.theta > 0 else edges[:-1]) - edges[0]))
        return edges, ccdf, np.cumsum(np.append(np.maximum(masses, 0.0), self._beyond))

    def draw(self, size: tuple[int, ...], rng: np.random.Generator) -> Array:
        """Propose a bin, draw the law within it, take it with e^{theta (t - the end of the bin that is likelier)}."""
        edges, ccdf, rising = self._bins
        out = np.empty(math.prod(size))
        missing = np.arange(len(out))
        while len(missing):
            u = rng.random((3, len(missing)))
            at = np.minimum(np.searchsorted(rising, u[0] * rising[-1], side="right"), len(edges) - 1)
            low = np.minimum(at, len(edges) - 2)
            inside = self.law._iccdf(ccdf[low + 1] + u[1] * (ccdf[low] - ccdf[low + 1]))
            inside = np.clip(inside, edges[low], edges[low + 1])
            top = edges[low + 1] if self.theta > 0 else edges[low]
            taken = u[2] < np.exp(self.theta * (inside - top))
            past = at == len(edges) - 1
            if past.any():
                inside[past] = edges[-1] - np.log1p(-u[1][past]) / (self._rate - self.theta)
                taken |= past
            out[missing[taken]] = inside[taken]
            missing = missing[~taken]
        return out.reshape(size)


@functools.lru_cache(maxsize=64)
def _edges(law: Distribution) -> Array:
    """Ascending times from the start of the support to its end, or down to a ccdf of 10^-FARTHEST."""
    levels = 10.0 ** -np.arange(0.5, 30.0 if math.isfinite(law.tail_index) else FARTHEST + 0.25, 0.5)
    above = [law.support[1]] if math.isfinite(law.support[1]) else law._iccdf(levels)
    points = np.concatenate([[law.support[0]], law.cuts, above])
    edges = np.unique(points[np.isfinite(points) & (points >= law.support[0])])
    edges.setflags(write=False)
    return edges
