"""Pools whose closed form is for exponential service: what tells such a service, and what is said of the others."""

from __future__ import annotations

import functools
import math

import numpy as np

from scaling_models.answers import Accuracy, NoClosedForm
from scaling_models.latency import Distribution
from scaling_models.pools.pool import Pool

EXPONENTIAL_AT = np.array([0.01, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0])  # means


def is_exponential(latency: Distribution) -> bool:
    """Whether a latency is exponential, whatever it is called: its ccdf is e^{-t/m} at several t."""
    mean = latency.mean()
    if not 0 < mean < math.inf:
        return False
    return bool(np.allclose(latency.ccdf(mean * EXPONENTIAL_AT), np.exp(-EXPONENTIAL_AT), rtol=1e-9, atol=0.0))


class ExponentialPool(Pool):
    """Base of pools that have their closed form where the service is exponential, whatever it is called."""

    @functools.cached_property
    def _exponential(self) -> bool:
        """Whether the service is exponential."""
        return is_exponential(self.service)

    @property
    def _exponential_rate(self) -> float:
        """The service rate 1/s, where the closed form holds: where the service is exponential."""
        if not self._exponential:
            raise NoClosedForm(
                f"{type(self).__name__} has a closed form for exponential service only (so far), not for "
                f"{type(self.service).__name__}: simulate it"
            )
        return 1.0 / self.service.mean()

    def accuracy(self, metric: str, level: float | None = None) -> Accuracy:
        """Exact for exponential service and at overload; else only the load is known, and the rest is simulated."""
        declared = self._answer(metric).accuracy
        return declared if self._exponential else super().accuracy(metric, level)
