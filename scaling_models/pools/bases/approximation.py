"""What an arrival finds at its FIFO server, how far that can be believed, and the wait and latency that follow."""

from __future__ import annotations

import dataclasses
import functools
import math

import numpy as np
from scipy import special

from scaling_models.answers import Accuracy, NoClosedForm
from scaling_models.latency import Distribution, MeanOnly
from scaling_models.latency.distribution import Array
from scaling_models.pools.formulas.profiles import Found
from scaling_models.pools.times.erlang_mixture import ErlangMixture

WITHIN = ((0.0, "exact"), (0.03, "within 3%"), (0.15, "within 15%"))
UNUSABLE = WITHIN[-1][0]  # errors above this have no label
LEVELS = (0.5, 0.95, 0.99, 0.999)  # up to which the errors of quantiles were measured
LEAST_SCV = 0.5  # of services: below, only means are known
OTHER_WAITS = 0.09  # by how much P(wait) errs more where services are not exponential
FEW_WAITS = 0.05  # a P(wait) below which that was not so


@dataclasses.dataclass(frozen=True)
class Errors:
    """Largest relative errors measured: of the latency's mean and quantiles, of P(wait), and of the wait.

    `quantiles` hold up to the LEVELS, one each, and `beyond` after them; `math.inf` where it is not usable. `wait` is
    for its mean, and for its quantiles as they follow; None: as many seconds as the latency. `region` says where.
    """

    mean: float
    quantiles: tuple[float, float, float, float]
    probability_of_wait: float
    region: str
    wait: float | None = None
    beyond: float = math.inf

    def wider(self, mean: float, quantiles: float, of_a_wait: float) -> Errors:
        """With more error."""
        half, late, later, last = (error + quantiles for error in self.quantiles)
        return Errors(self.mean + mean, (half, late, later, last), self.probability_of_wait + of_a_wait, self.region)

    def at(self, level: float | None) -> float:
        """Of the latency's mean (None), or of its quantile at a level (a fraction)."""
        if level is None:
            return self.mean
        known = zip(LEVELS, self.quantiles, strict=True)
        return next((error for last, error in known if level <= last + 1e-9), self.beyond)


HEAVY = 1.4  # a tail beside gamma's for which nothing holds: lognormal ones below scv 1 are at 1.34 at most
LIKE_GAMMA = 0.1
NONE = Errors(0.0, (0.0,) * 4, 0.0, "everywhere, to numerical precision", 0.0, 0.0)


def labelled(error: float, region: str) -> Accuracy:
    """An accuracy by its error: simulated, where it is larger than all labels allow."""
    label = next((label for largest, label in WITHIN if error <= largest), None)
    return Accuracy(label, error, region) if label else Accuracy("simulated", None, "no usable closed form here")


@dataclasses.dataclass(frozen=True, eq=False)
class Approximation:
    """A pool of FIFO servers of `workers`, by what an arrival finds at its server: exact or approximate.

    The wait is a stage of rate k/(E[S] stretch) for each request found beyond the first k - 1; `stretch` is 1 for
    exponential service.
    """

    found: Found
    errors: Errors
    service: Distribution
    workers: int
    stretch: float = 1.0

    def stretched(self, mean: float, quantiles: float) -> Approximation:
        """The same for services of scv v <= 1, not exponential: the wait is (1 + v)/2 as long.

        An arrival finds about as many requests whatever the service, and waits for the rest of one of them, which is
        (1 + v)/2 as long. `mean` and `quantiles` are how much more that errs; the latter for services that are like a
        gamma distribution of v >= 1/2 in their tail. Heavier tails, such as Pareto's, are refused.
        """
        tail = _tail_beside_gamma(self.service)
        if tail > HEAVY or self.workers > 1 or math.isinf(mean):
            raise NoClosedForm(f"no formula is known for {type(self.service).__name__} service here: simulate it")
        like_gamma = self.service.scv >= LEAST_SCV and abs(math.log(tail)) < LIKE_GAMMA
        of_a_wait = OTHER_WAITS if self._waiting >= FEW_WAITS else math.inf
        errors = self.errors.wider(mean, quantiles if like_gamma else math.inf, of_a_wait)
        return dataclasses.replace(self, errors=errors, stretch=(1.0 + self.service.scv) / 2.0)

    @property
    def _waiting(self) -> float:
        return 1.0 - float(self.found.weights[: self.workers].sum())

    @property
    def _spread_known(self) -> bool:
        return max(self.errors.quantiles) <= UNUSABLE

    @property
    def _highest_level(self) -> float:
        """The level beyond which the distribution refuses: nothing was measured there."""
        return 1.0 if self.errors.beyond <= UNUSABLE else LEVELS[-1]

    def _stages_of_wait(self, unclear: tuple[float, ...] = ()) -> Distribution:
        weights = self.found.weights
        ahead = np.bincount(np.maximum(np.arange(len(weights)) - self.workers + 1, 0), weights, 2).astype(float)
        rate = self.workers / (self.service.mean() * self.stretch)
        return ErlangMixture.of(rate, ahead, self.found.decay, self._highest_level, unclear)

    @functools.cached_property
    def _wait(self) -> Distribution:
        return self._stages_of_wait()

    @functools.cached_property
    def _latency(self) -> Distribution:
        if self.workers == 1 and self.stretch == 1.0:
            weights = np.append(0.0, self.found.weights)
            return ErlangMixture.of(1.0 / self.service.mean(), weights, self.found.decay, self._highest_level)
        return self._wait + self.service

    @functools.cached_property
    def probability_of_wait(self) -> float:
        """P(an arrival finds no worker free at its server)."""
        if self.errors.probability_of_wait > UNUSABLE:
            raise NoClosedForm("how many requests wait is not known well enough here: simulate it")
        return self._waiting

    @functools.cached_property
    def wait(self) -> Distribution:
        """A stage for each request found beyond the first k - 1; its mean alone where the latency's is."""
        if self._error_of_wait(None) > UNUSABLE:
            raise NoClosedForm("the wait is not known well enough here: simulate it")
        return self._stages_of_wait(self._unclear) if self._spread_known else MeanOnly(self._wait.mean())

    @functools.cached_property
    def latency(self) -> Distribution:
        """The wait and an independent service; its mean alone where not all quantiles can be believed."""
        if self.errors.mean > UNUSABLE:
            raise NoClosedForm("no formula is usable at these parameters: simulate it")
        return self._latency if self._spread_known else MeanOnly(self._wait.mean() + self.service.mean())

    def summary(self) -> Array:
        """The latency's mean and quantiles at LEVELS, and the probability of a wait."""
        return np.array([self._latency.mean(), *self._latency.icdf(np.array(LEVELS)), self._waiting])

    def accuracy(self, metric: str, level: float | None = None) -> Accuracy:
        """By the errors measured."""
        if metric == "probability_of_wait":
            return labelled(self.errors.probability_of_wait, self.errors.region)
        error = self._error_of_wait(level) if metric == "wait" else self.errors.at(level)
        answered = level is None or self._spread_known
        return labelled(error if answered else math.inf, self.errors.region)

    def _error_of_wait(self, level: float | None) -> float:
        """Near the atom at zero a quantile errs by more: by as much of the log as P(wait) does, if the tail is about
        exponential."""
        error = self._error_of_mean_wait
        if level is None or error == 0 or error > UNUSABLE:
            return error
        below, above = self._unclear
        if level <= below:
            return self.errors.probability_of_wait  # no wait at all, in so many cases
        if level < above:
            return math.inf
        return max(error, self.errors.at(level)) * max(1.0, 1.0 / self._log_beyond(level))

    @functools.cached_property
    def _error_of_mean_wait(self) -> float:
        error = self.errors.wait
        if error is None:
            wait = self._wait.mean()
            error = self.errors.mean * (wait + self.service.mean()) / wait if wait else math.inf
            error = max(error, self.errors.probability_of_wait)
        return error

    def _log_beyond(self, level: float) -> float:
        """log P(wait) over what is beyond a level: the quantile in mean waits, if the tail is exponential."""
        return math.log(max(self._waiting, 1e-300) / max(1.0 - level, 1e-300))

    @functools.cached_property
    def _unclear(self) -> tuple[float, ...]:
        """The levels between which a quantile of the wait is hardly known: the wait's own chance may be off, or all
        that is left of it is an error's width."""
        error = self._error_of_mean_wait
        if error == 0 or error > UNUSABLE:
            return ()
        worst = max(each for each in (error, *self.errors.quantiles, self.errors.beyond) if each <= UNUSABLE)
        ends = 1.0 - self._waiting * math.exp(error), 1.0 - self._waiting * math.exp(-max(error, worst / UNUSABLE))
        return tuple(min(max(end, 0.0), 1.0) for end in ends)


def _tail_beside_gamma(service: Distribution) -> float:
    """The service's p99.9 over that of a gamma distribution of its mean and scv; infinite for an scv above one."""
    scv, level = service.scv, LEVELS[-1]
    if not scv <= 1.0:
        return math.inf
    gamma = float(special.gammaincinv(1.0 / scv, level)) * scv if scv > 1e-6 else 1.0
    return float(service.icdf(level)) / service.mean() / gamma
