"""Requests that come several at a time."""

from __future__ import annotations

from typing import ClassVar

from scaling_models.answers import Assumption, answer
from scaling_models.domains import Real
from scaling_models.latency import Deterministic, Distribution, Exponential, Never, mixture
from scaling_models.montecarlo.traffic.arrivals import Batches
from scaling_models.parameters import Slider, parameter
from scaling_models.pools.bases.bursty_pool import BurstyPool
from scaling_models.pools.formulas.batches import batch_probability_of_wait
from scaling_models.pools.times.responses import ErlangResponse


class BatchArrivals(BurstyPool):
    """Batches of geometric size at Poisson instants, before one queue for all slots: M^X/M/c.

    The wait is zero, or exponential with rate (c mu - lambda) / b: as many times longer as a batch has requests on
    average, and more frequent (see `batch_probability_of_wait`). `arrival_rate` counts requests, not batches. Exact
    for exponential service; other services raise `NoClosedForm` and can be simulated. Chaudhry and Templeton, A First
    Course in Bulk Queues, 1983.
    """

    batch: float = parameter(
        default=4.0,
        domain=Real(1.0, open_low=False),
        unit="requests",
        symbol="b",
        about="mean number of requests that come together",
        slider=Slider(1, 20, 0.5),
    )

    verified_with: ClassVar[int] = 16_000_000
    _assumptions: ClassVar[tuple[Assumption, ...]] = (
        Assumption("batches at Poisson instants, of geometric sizes", "optimistic if their sizes vary more"),
        *BurstyPool._assumptions,
    )

    def _bursts(self, service: Distribution) -> Batches:
        return Batches(self.arrival_rate, self.batch, service)

    @property
    def _drain(self) -> float:
        """The rate of the wait, given that there is one (1/s)."""
        return (self._slots * self._exponential_rate - self.arrival_rate) / self.batch

    @answer("", "share of the requests that find no slot free, counting those of their own batch before them")
    def probability_of_wait(self) -> float:
        """See `batch_probability_of_wait`; 1 at overload."""
        if self._overloaded:
            return 1.0
        self._exponential_rate  # noqa: B018  # refuses other services
        return float(batch_probability_of_wait(self._slots, self.offered_load, self.batch))

    @answer("s", "time before a slot takes the request")
    def wait(self) -> Distribution:
        """Zero, or exponential with rate (c mu - lambda) / b."""
        if self._overloaded:
            return Never()
        chance = self.probability_of_wait
        return mixture((1.0 - chance, chance), (Deterministic(0.0), Exponential(1.0 / self._drain)))

    @answer("s", "time from arrival to reply: wait and service")
    def latency(self) -> Distribution:
        """The wait plus an independent service: see `ErlangResponse`."""
        if self._overloaded:
            return Never()
        return ErlangResponse(self._exponential_rate, self._drain, self.probability_of_wait)
