"""What an arrival finds at its FIFO server, how far that can be believed, and the wait and latency that follow."""

from __future__ import annotations

import dataclasses
import functools
import math

import numpy as np

from scaling_models.answers import Accuracy, NoClosedForm
from scaling_models.latency import Distribution, MeanOnly
from scaling_models.pools.erlang_mixture import ErlangMixture
from scaling_models.pools.formulas.profiles import Found

WITHIN = ((0.0, "exact"), (0.03, "within 3%"), (0.15, "within 15%"))
LEVELS = (0.5, 0.95, 0.99, 0.999)  # up to which the errors of quantiles were measured


@dataclasses.dataclass(frozen=True)
class Errors:
    """Largest relative errors measured of the latency's mean and quantiles, and of the probability of a wait.

    `quantiles` hold up to the LEVELS, one each; `math.inf` where it is not usable. `region` says where they hold.
    """

    mean: float
    quantiles: tuple[float, float, float, float]
    probability_of_wait: float
    region: str

    def at(self, level: float | None) -> float:
        """Of the latency's mean (None), or of its quantile at a level (a fraction)."""
        if level is None:
            return self.mean
        return next((error for last, error in zip(LEVELS, self.quantiles, strict=True) if level <= last), math.inf)


NONE = Errors(0.0, (0.0,) * 4, 0.0, "everywhere, to numerical precision")


def labelled(error: float, region: str) -> Accuracy:
    """An accuracy by its error: simulated, where it is larger than all labels allow."""
    label = next((label for largest, label in WITHIN if error <= largest), None)
    return Accuracy(label, error, region) if label else Accuracy("simulated", None, "no usable closed form here")


@dataclasses.dataclass(frozen=True, eq=False)
class Approximation:
    """A pool of FIFO servers of `workers`, by what an arrival finds at its server: exact or approximate.

    The wait is a stage of rate k/(E[S] stretch) for each request found beyond those in service; `stretch` is 1 for
    exponential service.
    """

    found: Found
    errors: Errors
    service: Distribution
    workers: int
    stretch: float = 1.0

    def accuracy(self, metric: str, level: float | None = None) -> Accuracy:
        """By the errors measured; the wait errs by as many seconds as the latency."""
        if metric == "probability_of_wait":
            return labelled(self.errors.probability_of_wait, self.errors.region)
        error = self.errors.at(level)
        if metric == "wait" and 0 < error < math.inf:
            wait = self.wait.mean() if level is None else float(self.wait.icdf(level))
            whole = self.latency.mean() if level is None else float((self.wait + self.service).icdf(level))
            error = error * whole / wait if wait else math.inf
        return labelled(error, self.errors.region)

    @functools.cached_property
    def probability_of_wait(self) -> float:
        """P(an arrival finds no worker free at its server)."""
        return 1.0 - float(self.found.weights[: self.workers].sum())

    @functools.cached_property
    def wait(self) -> Distribution:
        """A stage for each request found beyond the first k - 1."""
        weights = self.found.weights
        ahead = np.maximum(np.arange(len(weights)) - self.workers + 1, 0)
        rate = self.workers / (self.service.mean() * self.stretch)
        return ErlangMixture.of(rate, np.bincount(ahead, weights, 2).astype(float), self.found.decay)

    @functools.cached_property
    def latency(self) -> Distribution:
        """The wait and an independent service; its mean alone where not all quantiles can be believed."""
        mean = self.wait.mean() + self.service.mean()
        if self.errors.mean > WITHIN[-1][0]:
            raise NoClosedForm("no formula is usable at these parameters: simulate it")
        if max(self.errors.quantiles) > WITHIN[-1][0]:
            return MeanOnly(mean)
        if self.workers == 1 and self.stretch == 1.0:
            return ErlangMixture.of(1.0 / self.service.mean(), np.append(0.0, self.found.weights), self.found.decay)
        return self.wait + self.service
