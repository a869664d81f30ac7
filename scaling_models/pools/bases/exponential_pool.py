"""Pools whose closed form is for exponential service: what is said of the others."""

from __future__ import annotations

from scaling_models.answers import Accuracy, NoClosedForm
from scaling_models.pools.bases.pool import Pool


class ExponentialPool(Pool):
    """Base of pools that have their closed form where the service is exponential, whatever it is called."""

    @property
    def _exponential_rate(self) -> float:
        """The service rate 1/s, where the closed form holds: where the service is exponential."""
        if not self._exponential:
            raise NoClosedForm(
                f"{type(self).__name__} has a closed form for exponential service only (so far), not for "
                f"{type(self.service).__name__}: simulate it"
            )
        return 1.0 / self.service.mean()

    def _accuracy(self, metric: str, level: float | None = None) -> Accuracy:
        """Exact for exponential service and at overload; else only the load is known, and the rest is simulated."""
        declared = self._answer(metric).accuracy
        return declared if self._exponential else super()._accuracy(metric, level)
