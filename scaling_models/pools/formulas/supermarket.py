"""The supermarket model: the shortest of d queues drawn at random, for many servers, corrected for finitely many."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from scaling_models.pools.formulas.profiles import Found

Array = NDArray[np.float64]
SMALLEST = 1e-16  # a share of servers that no longer counts
LEAST_LOG = -700.0  # of a positive number
MOST_LEVELS = 10**6  # without choices at a load near 1 they hardly end


def mean_field(load: float, choices: int, workers: int = 1) -> Array:
    """s_j, j = 0, 1, ...: the share of infinitely many servers with j requests or more.

    load k (s_{j-1}^d - s_j^d) = min(j, k) (s_j - s_{j+1}), s_0 = 1, for load in (0, 1) of each of k workers, d >= 1;
    with one worker s_j = load^((d^j - 1)/(d - 1)), load^j for d = 1. Exact as the servers grow without bound. From
    j = k on, s_{j+1} = load s_j^d; below, s_{j-1} follows from s_j and s_{j+1} by sums of positive terms, and s_{k-1}
    is found such that s_0 = 1. Mitzenmacher 1996; Vvedenskaya, Dobrushin and Karpelevich 1996.
    """

    def down(level: int, log_share: float) -> list[float]:
        share = math.exp(log_share)
        shares = [load * share**choices if level == workers - 1 else 0.0, share]
        for j in range(level, 0, -1):
            step = j * (shares[-1] - shares[-2]) / (load * workers)
            shares.append((shares[-1] ** choices + step) ** (1.0 / choices))
        return shares[1:]

    level, last = workers - 1, 0.0
    while level and down(level, LEAST_LOG)[-1] >= 1.0:  # shares at this level are too small for a number
        level -= 1
    if level:
        last = float(optimize.brentq(lambda share: math.log(down(level, share)[-1]), LEAST_LOG, 0.0, xtol=1e-15))
    shares = [share for share in down(level, last)[::-1] if share > SMALLEST]
    while shares[-1] > SMALLEST and len(shares) < MOST_LEVELS + workers:
        shares.append(load * shares[-1] ** choices if len(shares) >= workers else 0.0)
    return np.array([share for share in shares if share > SMALLEST])


def found_by_choices(
    load: float, servers: int, choices: int, workers: int = 1, *, replacement: bool = False, order: int = 2
) -> Found:
    """What an arrival finds at the shortest of d queues drawn from N, with or without replacement.

    E[share with j or more] = s_j + V_j/N + U_j/N^2: the mean field (order 0) with its refinements (orders 1 and 2),
    right up to terms of N^-3. An arrival finds j - 1 requests with probability min(j, k) (E s_j - E s_{j+1})/(load k).
    Load in (0, 1) of each of `workers`, 2 <= d <= N. The larger N (1 - load), the better. Gast and Van Houdt 2017
    (order 1); Gast, Bortolussi and Tribastone 2019 (order 2).
    """
    field = _Field(load, choices, workers, replacement)
    shares = field.shares.copy()
    if order > 0:
        shares += field.first / servers
    if order > 1:
        shares += field.second() / servers**2
    seen = field.rates * (shares - np.append(shares[1:], 0.0)) / (load * workers)
    return Found(np.maximum(seen, 0.0) / np.maximum(seen, 0.0).sum())


def cut_off_by_choices(load: float, servers: int, choices: int, *, replacement: bool) -> float:
    """About the share of P(wait) that `found_by_choices` misses of few servers and many choices, with one worker.

    At light load all d drawn are busy with probability E[X^d], N X Poisson: sum_k S(d, k) (N load)^k / N^d with
    Stirling's numbers of the second kind, of which two refinements keep the last three; or, without replacement,
    load^d / prod_{i<d} (1 - i/N), of which they keep the terms up to N^-2. Towards full load less is missed. What was
    seen beside the chains of 2 to 30 servers, 2 to 10 choices and loads 0.05 to 0.7 is less, or both are above 0.15.
    """
    d, n = choices, float(servers)
    if not replacement:
        ones, pairs = d * (d - 1) / 2.0, d * (d - 1) * (d - 2) * (3 * d - 1) / 24.0
        kept = 1.0 + ones / n + (ones**2 - pairs) / n**2
        return (1.0 - load**2) * (1.0 - kept * math.prod(1.0 - i / n for i in range(d)))
    numbers = np.zeros(d + 1)
    numbers[0] = 1.0
    for _ in range(d):
        numbers[1:] = numbers[:-1] + np.arange(1.0, d + 1.0) * numbers[1:]
        numbers[0] = 0.0
    terms = numbers * np.exp((np.arange(d + 1.0) - d) * math.log(n) + np.arange(d + 1.0) * math.log(load))
    return (1.0 - load**2) * float(terms[: max(d - 2, 0)].sum() / terms.sum()) + 0.06 * d**3 / n**2


class _Field:
    """Moments of the deviations y = X - s of the shares X from the mean field, by powers of 1/N.

    Joining happens at the rate load k (a(x_{j-1}) - a(x_j)), where a(x) = x^d + a_1(x)/N + a_2(x)/N^2 is the chance
    that all drawn have j or more, and leaving at min(j, k) (x_j - x_{j+1}). That the drifts of E y, E y y', E y y' y''
    are zero gives linear equations with the Jacobian A of the drift, which a diagonal scaling makes symmetric.
    """

    def __init__(self, load: float, choices: int, workers: int, replacement: bool) -> None:
        shares = mean_field(load, choices, workers)
        self.shares, self.choices, self.arrivals = shares[1:], choices, load * workers
        self.rates = np.minimum(np.arange(1, len(shares)), workers).astype(float)
        self.flow = self.rates * (self.shares - np.append(self.shares[1:], 0.0))
        self._draws(replacement)
        slope = self.arrivals * self.power(choices, 1)
        jacobian = np.diag(-slope - self.rates) + np.diag(slope[:-1], -1) + np.diag(self.rates[:-1], 1)
        self.scale = np.sqrt(np.concatenate([[1.0], np.cumprod(slope[:-1] / self.rates[:-1])]))
        symmetric = jacobian * self.scale / self.scale[:, None]
        self.eigenvalues, self.basis = np.linalg.eigh((symmetric + symmetric.T) / 2.0)
        self.spread = np.diag(-slope + self.rates) + np.diag(slope[:-1], -1) - np.diag(self.rates[:-1], 1)
        self.curve = self.power(choices, 2)
        self.covariance = self.solve(np.diag(2.0 * self.flow))
        self.own = np.diag(self.covariance)
        self.first = self.solve(self.joining(self.early + self.curve / 2.0 * self.own))

    def power(self, exponent: int, derivative: int = 0) -> Array:
        """The derivative of x^exponent at the shares."""
        if derivative > exponent:
            return np.zeros(len(self.shares))
        return math.perm(exponent, derivative) * self.shares ** (exponent - derivative)

    def _draws(self, replacement: bool) -> None:
        """a_1 with its first two derivatives, and a_2: of prod_{i<d} (x - i/N)/(1 - i/N), or of x^d."""
        d = self.choices
        ones = 0.0 if replacement else d * (d - 1) / 2.0
        pairs = 0.0 if replacement else d * (d - 1) * (d - 2) * (3 * d - 1) / 24.0
        early = [ones * (self.power(d, i) - self.power(d - 1, i)) for i in range(3)]
        self.early, self.early_slope, self.early_curve = early
        self.late = (ones**2 - pairs) * self.power(d) - ones**2 * self.power(d - 1) + pairs * self.power(max(d - 2, 0))

    def joining(self, chance: Array) -> Array:
        """What chances a_j (along the first axis) do to the shares: load k (a_{j-1} - a_j), a_0 being certain."""
        return self.arrivals * -np.diff(chance, axis=0, prepend=0.0)

    def solve(self, source: Array) -> Array:
        """The moments M of any order with (A x 1 x ... + 1 x A x ... + ...) M + source = 0, in the basis of A."""
        scale: Array = np.ones(())
        sums: Array = np.zeros(())
        for _ in range(source.ndim):
            scale, sums = np.multiply.outer(scale, self.scale), np.add.outer(sums, self.eigenvalues)
        return -scale * self._turned(self._turned(source / scale, self.basis) / sums, self.basis.T)

    @staticmethod
    def _turned(moments: Array, basis: Array) -> Array:
        """Every axis in another basis."""
        for _ in range(moments.ndim):
            moments = np.tensordot(moments, basis, axes=(0, 0))  # the new axis comes last: after all, each is back
        return moments

    def second(self) -> Array:
        """U: the means at N^-2, from the second moments at N^-2 and the third ones, whose first order that is."""
        w, own, first, curve = self.covariance, self.own, self.first, self.curve
        each = np.arange(len(own))
        bend = self.power(self.choices, 3)
        third = self._third()
        pulled = (self.early_slope + bend / 2.0 * own)[:, None] * w + np.outer(self.early, first)
        pulled = self.joining(pulled + curve[:, None] / 2.0 * third[each, each])
        noise = 2.0 * self.rates * (first - np.append(first[1:], 0.0))
        second = np.diag(self.solve(pulled + pulled.T + np.diag(noise)))
        chance = self.late + self.early_slope * first + self.early_curve / 2.0 * own + curve / 2.0 * second
        chance += bend / 6.0 * third[each, each, each] + self.power(self.choices, 4) / 8.0 * own**2
        return self.solve(self.joining(chance))

    def _third(self) -> Array:
        """E y_i y_j y_k at N^-2: from the drift's curvature (fourth moments as of a normal), and the noise's slope."""
        w, each = self.covariance, np.arange(len(self.own))
        straight = (self.early + self.curve / 2.0 * self.own)[:, None, None] * w
        pulled = self.joining(straight + self.curve[:, None, None] * (w[:, :, None] * w[:, None, :]))
        noise = (2.0 * self.flow)[:, None] * self.first + self.spread @ w
        kicked = np.zeros(pulled.shape)
        kicked[:, each, each] = noise.T
        source = pulled + kicked
        return self.solve(source + np.moveaxis(source, 0, 1) + np.moveaxis(source, 0, 2))
