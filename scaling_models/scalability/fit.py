"""The Universal Scalability Law fitted to measured points, with intervals."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special

from scaling_models.scalability.law import Array, usl_peak, usl_throughput

LOSSES = ("linear", "soft_l1", "huber")
PARAMETERS = 3
ROUNDS = 50  # of reweighting, at most
SETTLED = 1e-10  # relative change of the scale of the residuals
NORMAL = 0.6744897501960817  # the median of a standard normal's absolute value
TUNING = 1.345  # residuals, in robust standard deviations, that a robust loss takes at face value (Huber)
FARTHEST = 1e8  # times the fitted value: an end of an interval that lies beyond is infinite
NOTHING, FINE = 1e-9, 1e-6  # of a fitted value: what is as good as zero, and how closely an end is found
TOLERANCE = 1e-9


class Basis(NamedTuple):
    """X = N / (`fixed` + `terms` theta) with 0 <= theta, the first <= `most`: the law, or with something held fixed."""

    terms: Array
    fixed: float = 0.0
    most: float = math.inf


def free(n: Array) -> Basis:
    """Seconds of parallel work, of serial work, and of exchanges: (1 - a)/g, a/g and b/g."""
    return Basis(np.column_stack([np.ones_like(n), n, n * (n - 1.0)]))


HELD: dict[str, Callable[[Array, float], Basis]] = {
    "rate": lambda n, g: Basis(np.column_stack([n - 1.0, n * (n - 1.0)]), 1.0 / g, 1.0 / g),
    "contention": lambda n, a: Basis(np.column_stack([1.0 + a * (n - 1.0), n * (n - 1.0)])),
    "coherency": lambda n, b: Basis(np.column_stack([1.0 + b * n * (n - 1.0), n + b * n * (n - 1.0)])),
    "bend": lambda n, bend: Basis(np.column_stack([1.0 + bend * n * (n - 1.0), n])),
}
"""The law with a parameter held at a value, or its bend b / (1 - a), which is 1 over the square of the peak."""


def solve(n: Array, x: Array, weights: Array, basis: Basis) -> tuple[Array, float]:
    """The theta of least weighted squares of X, and their sum: from the linear fit of N/X, which is close."""
    root, scale = np.sqrt(weights), float(x.max())
    about = root * x * x / n  # an error of N/X is so much of X
    size = np.maximum(np.linalg.norm(basis.terms * about[:, None], axis=0), 1e-300)
    terms = basis.terms / size
    start, _ = optimize.nnls(terms * about[:, None], (n / x - basis.fixed) * about)
    high = np.append(basis.most * size[0], np.full(len(size) - 1, np.inf))
    least = 1e-7 * float(np.linalg.norm(x * root))

    def below(theta: Array) -> Array:
        return np.asarray(basis.fixed + terms @ theta)

    def residuals(theta: Array) -> Array:
        return np.asarray(root * (n / below(theta) - x) / scale)

    def slopes(theta: Array) -> Array:
        return np.asarray(-(root * n / below(theta) ** 2 / scale)[:, None] * terms)

    found = optimize.least_squares(
        residuals,
        np.clip(start, np.minimum(least, 0.5 * high), 0.999 * high),
        slopes,
        bounds=(0.0, high),
        x_scale="jac",
        ftol=1e-14,
        xtol=1e-14,
        gtol=1e-14,
    )

    def cost(theta: Array) -> float:
        return float(np.sum(residuals(theta) ** 2)) if below(theta).min() > 0 else math.inf

    theta, least_cost = _without_needless(found.x, cost)
    return theta / size, least_cost * scale * scale


def _without_needless(theta: Array, cost: Callable[[Array], float]) -> tuple[Array, float]:
    """The same with zeros in place of what the points are as well fitted without: a search only comes near a bound."""
    least = cost(theta)
    for place in np.argsort(theta):
        without = theta.copy()
        without[place] = 0.0
        if cost(without) <= least * (1.0 + TOLERANCE):
            theta, least = without, cost(without)
    return theta, least


@dataclasses.dataclass(frozen=True)
class UslFit:
    """X(N) = g N / (1 + a (N - 1) + b N (N - 1)) as fitted to points: `rate` g, `contention` a, `coherency` b.

    `points` are the pairs (N, requests/s), `weights` how much each counts (1 but for a robust loss).
    """

    rate: float
    contention: float
    coherency: float
    points: tuple[tuple[float, float], ...]
    weights: tuple[float, ...]

    @property
    def peak(self) -> float:
        """N*, where throughput is largest; infinite for b = 0."""
        return float(usl_peak(self.contention, self.coherency))

    @property
    def freedom(self) -> float:
        """Points that count, less the three parameters."""
        return math.fsum(self.weights) - PARAMETERS

    @functools.cached_property
    def _arrays(self) -> tuple[Array, Array, Array]:
        n, x = np.array(self.points).T
        return n, x, np.array(self.weights)

    @property
    def residuals(self) -> tuple[float, ...]:
        """What was measured less what is fitted (requests/s), point by point."""
        n, x, _ = self._arrays
        return tuple((x - usl_throughput(n, self.rate, self.contention, self.coherency)).tolist())

    @functools.cached_property
    def _squares(self) -> float:
        return float(np.array(self.weights) @ np.square(self.residuals))

    @property
    def residual_error(self) -> float:
        """The residual standard error (requests/s)."""
        return math.sqrt(self._squares / self.freedom)

    @functools.cached_property
    def standard_errors(self) -> tuple[float, float, float]:
        """Of rate, contention and coherency: from the Jacobian, as if no parameter were at its bound."""
        n, _, weights = self._arrays
        fitted = np.asarray(usl_throughput(n, self.rate, self.contention, self.coherency))
        share = fitted / (n * self.rate)
        slopes = np.column_stack([fitted / self.rate, -fitted * share * (n - 1.0), -fitted * share * n * (n - 1.0)])
        slopes *= np.sqrt(weights)[:, None]
        size = np.linalg.norm(slopes, axis=0)
        spread = np.sqrt(np.diag(np.linalg.inv(slopes.T @ slopes / np.outer(size, size)))) / size
        rate, contention, coherency = (self.residual_error * spread).tolist()
        return rate, contention, coherency

    def interval(self, name: str, confidence: float = 0.95) -> tuple[float, float]:
        """Of "rate", "contention", "coherency" or "peak": all values at which the points are not fitted much worse.

        The profile: S(v) <= S (1 + t^2 / freedom), S the least (weighted) sum of squares and t Student's. At a bound it
        ends there: contention and coherency at 0, and the peak at infinity where growth without end is not excluded.
        It covers the truth as often as it says for normal errors of equal size, and more often at a bound (measured:
        see tests). Bates and Watts, Nonlinear Regression Analysis, 1988, section 6.1.
        """
        if name not in ENDS:
            raise ValueError(f"UslFit.interval: name must be one of {', '.join(map(repr, ENDS))}; got {name!r}")
        if not 0 < confidence < 1:
            raise ValueError(f"UslFit.interval: confidence must lie in (0, 1); got {confidence!r}")
        n, x, weights = self._arrays
        held = "bend" if name == "peak" else name
        best = self.coherency / max(1.0 - self.contention, NOTHING) if name == "peak" else float(getattr(self, name))
        if self._squares <= 1e-20 * float(x @ x):
            low, high = best, best
        else:
            student = float(special.stdtrit(self.freedom, 0.5 + confidence / 2.0))
            allowed = self._squares * (1.0 + student**2 / self.freedom)
            step, most = ENDS[name](float(n.max()))
            low, high = _ends(lambda v: solve(n, x, weights, HELD[held](n, v))[1] - allowed, best, step, most)
        if name != "peak":
            return low, high
        ends = [bend**-0.5 if bend > 0 else math.inf for bend in (high, low)]
        return ends[0], ends[1]


ENDS: dict[str, Callable[[float], tuple[float, float]]] = {
    "rate": lambda most: (0.0, math.inf),
    "contention": lambda most: (1e-3 / most, 1.0),
    "coherency": lambda most: (1e-3 / most**2, math.inf),
    "peak": lambda most: (1e-3 / most**2, math.inf),
}
"""The step with which a search from zero begins, with so many nodes at most, and where it must end."""


def _ends(above: Callable[[float], float], best: float, step: float, most: float) -> tuple[float, float]:
    """Where `above`, negative at `best`, turns positive below and above it; 0 and `most` where it does not."""
    if above(best) >= 0:  # points without error leave no width
        return best, best
    tiny = best * NOTHING
    low = 0.0 if above(tiny) <= 0 else float(optimize.brentq(above, tiny, best, xtol=best * FINE, rtol=FINE))
    step = max(step, 0.05 * best)
    inside, outside = best, min(best + step, most)
    while above(outside) <= 0:
        if outside == most or outside > FARTHEST * (best + step):
            return low, most
        inside, outside = outside, min(outside + 2.0 * (outside - best), most)
    return low, float(optimize.brentq(above, inside, outside, xtol=outside * FINE, rtol=FINE))


def fit_usl(nodes: ArrayLike, throughput: ArrayLike, *, loss: str = "linear") -> UslFit:
    """The law of least squares through measured points: `throughput` (requests/s) at so many `nodes` (N >= 1).

    Bounded (0 <= a <= 1, b >= 0) with the rate g free: no point is taken to be without error, that of one node
    neither. `loss` "linear" is least squares; "huber" and "soft_l1" weigh down what lies more than 1.3 robust standard
    deviations off, so that single outliers cost little: one weight a point, found by reweighting, its scale by the
    median. Raises ValueError for fewer than four points or three different N, for what lies outside of that,
    and where robust weights leave fewer than four points' worth. Gunther, Guerrilla Capacity Planning, 2007, chapter 5;
    Huber, Robust Statistics, 1981, section 7.8.
    """
    n, x = _checked_points(nodes, throughput)
    if loss not in LOSSES:
        raise ValueError(f"fit_usl: loss must be one of {', '.join(map(repr, LOSSES))}; got {loss!r}")
    weights = np.ones_like(n)
    fitted = _fitted(n, x, weights)
    scale = math.inf
    for _ in range(ROUNDS if loss != "linear" else 0):
        off = np.abs(fitted.residuals)
        before, scale = scale, float(np.median(off)) / NORMAL
        if scale <= 1e-12 * x.max() or abs(scale - before) <= SETTLED * scale:
            break
        beyond = off / (TUNING * scale)
        weights = 1.0 / np.maximum(beyond, 1.0) if loss == "huber" else 1.0 / np.sqrt(1.0 + beyond**2)
        fitted = _fitted(n, x, weights)
    if fitted.freedom < 1.0 and loss != "linear":
        raise ValueError(f"fit_usl: the weights of loss {loss!r} leave {math.fsum(weights):.1f} points; it takes 4")
    return fitted


def _fitted(n: Array, x: Array, weights: Array) -> UslFit:
    (parallel, serial, exchange), _ = solve(n, x, weights, free(n))
    each = parallel + serial
    if not each > 0:
        raise ValueError("fit_usl: the points tell nothing of what one node can do: measure with fewer nodes")
    points = tuple(zip(n.tolist(), x.tolist(), strict=True))
    return UslFit(float(1.0 / each), float(serial / each), float(exchange / each), points, tuple(weights.tolist()))


def _checked_points(nodes: ArrayLike, throughput: ArrayLike) -> tuple[Array, Array]:
    n, x = np.asarray(nodes, dtype=float), np.asarray(throughput, dtype=float)
    if n.ndim != 1 or n.shape != x.shape:
        raise ValueError(f"fit_usl: nodes and throughput must be as many; got shapes {n.shape} and {x.shape}")
    asked = (("nodes", n, n >= 1, "[1, inf) nodes"), ("throughput", x, x > 0, "(0, inf) requests/s"))
    for name, values, legal, unit in asked:
        wrong = values[~(legal & np.isfinite(values))]
        if wrong.size:
            raise ValueError(f"fit_usl: {name} must lie in {unit}; got {float(wrong[0])!r}")
    if len(n) <= PARAMETERS or len(np.unique(n)) < PARAMETERS:
        raise ValueError(
            f"fit_usl needs at least 4 points at 3 different numbers of nodes; got {len(n)} at {len(np.unique(n))}"
        )
    return n, x
