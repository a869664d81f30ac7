"""What is told of one FIFO queue before all slots, where its case is known."""

from __future__ import annotations

from scaling_models.answers import answer
from scaling_models.latency import Distribution, Never
from scaling_models.pools.bases.central_cases import Case
from scaling_models.pools.bases.pool import NO_BAND, Pool


class CentralAnswers(Pool):
    """Base of pools that are M/G/c; of requests that are not lost, where some are."""

    @property
    def _case(self) -> Case | None:
        """What is known in closed form for this service."""
        raise NotImplementedError

    @property
    def _known(self) -> Case:
        if self._case is None:
            raise self._simulate_it()
        return self._case

    @answer("", "share of the requests that find no slot free")
    def probability_of_wait(self) -> float:
        """1 at overload."""
        return 1.0 if self._overloaded else self._known.probability_of_wait

    @answer("s", "time before a slot takes the request")
    def wait(self) -> Distribution:
        """Never at overload."""
        return Never() if self._overloaded else self._known.wait

    @answer("s", "time from arrival to reply: wait and service")
    def latency(self) -> Distribution:
        """The wait plus an independent service."""
        return Never() if self._overloaded else self._known.latency

    @answer("s", "the lower end of a band for the latency, where a band is all that is known", NO_BAND)
    def latency_low(self) -> Distribution:
        """Quantile for quantile at most the latency, where this is approximate; never at overload."""
        return Never() if self._overloaded else self._known.latency_low

    @answer("s", "the upper end of a band for the latency, where a band is all that is known", NO_BAND)
    def latency_high(self) -> Distribution:
        """Quantile for quantile at least the latency, where this is approximate; never at overload."""
        return Never() if self._overloaded else self._known.latency_high
