"""A random number of exponential stages of one rate: the wait and the response before FIFO servers."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import cast

import numpy as np
from scipy import special
from scipy.optimize import elementwise

from scaling_models.answers import NoClosedForm
from scaling_models.domains import Real, Rows
from scaling_models.latency import Distribution
from scaling_models.latency.distribution import Array
from scaling_models.latency.quadrature import graded
from scaling_models.parameters import parameter

LEVELS = np.array([1.0 - 1e-7, 0.99, 0.9, 0.5, 0.1, 1e-2, 1e-3, 1e-5, 1e-7, 1e-10, 1e-13, 1e-16])  # of the cuts
ROUNDING = 1e-9  # by which given weights may miss a sum of one


class ErlangMixture(Distribution):
    """The sum of n exponential stages, n random: P(T > t) = sum_n P(n stages or more beyond n) e^{-rt} (rt)^n / n!.

    `weights[n]` is the probability of n stages, n = 0, 1, ..., to be continued beyond the last by the factor `decay`
    each; no stage at all is an atom at zero. All terms are positive, so that tails keep their relative precision. A
    request that finds j others before a FIFO server with exponential service responds after j + 1 stages. Exact.
    """

    rate: float = parameter(default=100.0, domain=Real(), unit="1/s", symbol="μ", about="the rate of each stage")
    weights: tuple[float, ...] = parameter(
        default=(0.0, 1.0),
        domain=Rows(Real(0, 1, open_low=False, open_high=False), least=2, most=10**5),
        symbol="w",
        about="the probabilities of 0, 1, 2, ... stages",
    )
    decay: float = parameter(
        default=0.0,
        domain=Real(0, 1, open_low=False),
        symbol="η",
        about="the factor by which each probability beyond the last weight falls",
    )
    highest_level: float = parameter(
        default=1.0,
        domain=Real(0, 1, open_high=False),
        about="the level of quantiles up to which it was measured, where it is an approximation",
    )
    unclear: tuple[float, ...] = parameter(
        default=(),
        domain=Rows(Real(0, 1, open_low=False, open_high=False), least=0, most=2),
        about="two levels, of an approximation: of quantiles between, by its atom, hardly more is known than the order",
    )

    def _check(self) -> None:
        total = sum(self.weights) + self._after(0)
        if len(self.unclear) == 1 or list(self.unclear) != sorted(self.unclear):
            raise ValueError(f"ErlangMixture.unclear must be none or two levels in order; got {self.unclear!r}")
        if abs(total - 1.0) > ROUNDING:
            raise ValueError(f"ErlangMixture.weights and what decays beyond them must add up to 1; got {total!r}")

    @classmethod
    def of(
        cls,
        rate: float,
        weights: Array,
        decay: float = 0.0,
        highest_level: float = 1.0,
        unclear: tuple[float, ...] = (),
    ) -> ErlangMixture:
        """With weights that are made to add up to one; rounding below zero is cut, and a tail too rare to matter."""
        kept = np.maximum(weights, 0.0)
        if not decay:
            kept = kept[: max(2, int(np.flatnonzero(kept > 1e-20 * kept.sum())[-1]) + 1)]
        kept = kept / (kept.sum() + kept[-1] * decay / (1.0 - decay))
        return cls(rate, tuple(kept.tolist()), decay, highest_level, unclear)

    def _refuse_beyond(self, levels: Array) -> None:
        super()._refuse_beyond(levels)
        if self.unclear and ((levels > self.unclear[0]) & (levels < self.unclear[1])).any():
            told = " and p".join(f"{100.0 * level:.4g}" for level in self.unclear)
            raise NoClosedForm(f"percentiles between p{told} are not known, for few more wait at all: simulate it")

    def _after(self, order: int) -> float:
        """sum_{i>=1} i^order decay^i, times the last weight: what lies beyond it, and its first two moments."""
        eta = self.decay
        sums = (eta / (1.0 - eta), eta / (1.0 - eta) ** 2, eta * (1.0 + eta) / (1.0 - eta) ** 3)
        return self.weights[-1] * sums[order]

    @functools.cached_property
    def _beyond(self) -> Array:
        """P(stages > n) for n = 0, 1, ..., up to the last weight but one."""
        return np.cumsum([self._after(0), *self.weights[:0:-1]])[:0:-1]

    @functools.cached_property
    def _up_to(self) -> Array:
        """P(stages <= n), likewise."""
        return np.cumsum(self.weights)[:-1]

    @property
    def atoms(self) -> tuple[tuple[float, float], ...]:
        """Zero, where there may be no stage at all."""
        return ((0.0, self.weights[0]),) if self.weights[0] > 0 else ()

    @property
    def support(self) -> tuple[float, float]:
        """From zero on; zero alone where there is never a stage."""
        return (0.0, math.inf if self._beyond[0] > 0 else 0.0)

    @functools.cached_property
    def cuts(self) -> Array:
        """Times at levels from the bulk far into the tail, read off a grid."""
        most = len(self.weights)
        far = most + 9.0 * math.sqrt(most) + 40.0 + (40.0 / (1.0 - self.decay) if self.decay else 0.0)
        grid = np.geomspace(1e-9, far, 300) / self.rate
        ccdf = self._ccdf(grid)
        off = ccdf[0] * LEVELS
        at = np.searchsorted(-ccdf, -off[off > ccdf[-1]])
        return graded([0.0, 1e-7 / self.rate, *grid[at], grid[-1]], 0.0)

    @functools.cached_property
    def _stages(self) -> tuple[float, float]:
        """Mean and variance of the number of stages."""
        n, last = np.arange(len(self.weights)), len(self.weights) - 1
        mean = float(n @ np.array(self.weights)) + last * self._after(0) + self._after(1)
        beyond = (last - mean) ** 2 * self._after(0) + 2.0 * (last - mean) * self._after(1) + self._after(2)
        return mean, float(((n - mean) ** 2) @ np.array(self.weights)) + beyond

    def mean(self) -> float:
        """E[n] / r."""
        return self._stages[0] / self.rate

    def variance(self) -> float:
        """(E[n] + Var[n]) / r^2."""
        return sum(self._stages) / self.rate**2

    def _mixed(self, t: Array, weights: Array) -> Array:
        """sum_n weights[n] e^{-rt} (rt)^n / n!."""
        x = self.rate * np.asarray(t, dtype=float)[..., None]
        n = np.arange(len(weights))
        return np.asarray(np.exp(special.xlogy(n, x) - x - special.gammaln(n + 1.0)) @ weights)

    def _decayed(self, t: Array, first: float) -> Array:
        """The same where the weights from the last on are first, first x decay, ...:

        sum_i first decay^i e^{-x} x^(l+i) / (l+i)! = first decay^-l e^{-x (1-decay)} P(l, x decay), x = rt.
        """
        last, eta = len(self.weights) - 1, self.decay
        if not (eta > 0 and first > 0):
            return np.zeros(np.shape(t))
        x = self.rate * np.asarray(t, dtype=float)
        scaled = math.log(first) - last * math.log(eta) - x * (1.0 - eta)
        with np.errstate(divide="ignore"):
            return np.exp(scaled + np.log(special.gammainc(last, x * eta)))

    def _ccdf(self, t: Array) -> Array:
        return np.minimum(1.0, self._mixed(t, self._beyond) + self._decayed(t, self._after(0)))

    def _cdf(self, t: Array) -> Array:
        rest = special.gammainc(len(self._up_to), self.rate * t) - self._decayed(t, self._after(0))
        return np.clip(self._mixed(t, self._up_to) + rest, 0.0, 1.0)

    def _pdf(self, t: Array) -> Array:
        rest = self._decayed(t, self.weights[-1] * self.decay)
        return np.asarray(self.rate * (self._mixed(t, np.array(self.weights[1:])) + rest))

    @classmethod
    def icdf_of(cls, latencies: Sequence[Distribution], q: Array) -> Array:
        """All at once, one root search over (latencies, levels), where none has an atom and no level is an end."""
        given = cast(Sequence[ErlangMixture], latencies)
        ordinary = ((q > 0) & (q < 1)).all() and max(q) <= min(each.highest_level for each in given)
        if not ordinary or any(each.weights[0] > 0 for each in given):
            return super().icdf_of(latencies, q)
        longest = max(len(each.weights) for each in given) - 1
        beyond = np.array([np.pad(each._beyond, (0, longest - len(each._beyond))) for each in given])
        ends = np.array([(each.rate, each.mean(), len(each.weights) - 1, each.decay, each._after(0)) for each in given])
        n = np.arange(longest)
        logs = special.gammaln(n + 1.0)

        def ccdf(t: Array, at: Array) -> Array:
            each = at.astype(int)
            rate, _, last, eta, first = ends[each].T
            x = rate * t
            told = (np.exp(special.xlogy(n, x[:, None]) - x[:, None] - logs) * beyond[each]).sum(axis=1)
            there = (eta > 0) & (first > 0) & (x > 0)
            rest = np.where(there, eta, 0.5), np.where(there, first, 1.0), np.where(there, x, 1.0)
            scaled = np.log(rest[1]) - last * np.log(rest[0]) - rest[2] * (1.0 - rest[0])
            with np.errstate(divide="ignore"):
                tail = np.exp(scaled + np.log(special.gammainc(last, rest[2] * rest[0])))
            return np.asarray(told + np.where(there, tail, 0.0))

        at, level = (part.ravel() for part in np.broadcast_arrays(np.arange(len(given))[:, None], 1.0 - q))
        high = np.repeat(ends[:, 1], len(q))
        while (short := ccdf(high, at) > level).any():
            high = np.where(short, 2.0 * high, high)

        def above(t: Array, level: Array, at: Array) -> Array:
            return np.asarray(np.log(np.maximum(ccdf(t, at), 1e-300) / level))

        args = (level, at.astype(float))
        found = elementwise.find_root(above, (np.zeros_like(high), high), args=args, tolerances={"xrtol": 1e-14})
        return np.asarray(found.x).reshape(len(given), len(q))

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        draws = rng.random((*shape, 2))  # both of a request from one call: chunks of any size agree
        stages = np.searchsorted(np.cumsum(self.weights), draws[..., 0], side="right").astype(float)
        last = len(self.weights) - 1
        more = 1.0 + np.floor(np.log1p(-draws[..., 1]) / math.log(self.decay)) if self.decay else 0.0
        return rng.standard_gamma(np.where(stages > last, last + more, stages)) / self.rate
