"""Poisson arrivals whose rate is higher at times, by chance."""

from __future__ import annotations

import functools
import math
from typing import ClassVar

from scaling_models.answers import Assumption, NoClosedForm, answer
from scaling_models.domains import Real
from scaling_models.latency import Distribution, Never
from scaling_models.montecarlo.traffic.arrivals import Modulated
from scaling_models.parameters import Slider, parameter
from scaling_models.pools.bases.bursty_pool import BurstyPool
from scaling_models.pools.formulas.modulation import ModulatedWaits, modulated_waits
from scaling_models.pools.times.phased import PhasedResponse, PhasedWait

MOST_SLOTS = 50_000  # of the chain: half a second


class ModulatedArrivals(BurstyPool):
    """Poisson arrivals at a rate that switches between bursts and calm by chance (MMPP), before one queue: MMPP(2)/M/c.

    Bursts last exponential times of mean `burst`, take the `share` of all time, and have `peak` times the mean rate.
    The tail of the wait is a sum of two exponentials, each request's by the phase in which it comes (see
    `modulated_waits`). Exact for exponential service; other services raise `NoClosedForm` and can be simulated.
    Neuts, Matrix-Geometric Solutions in Stochastic Models, 1981, chapter 6.
    """

    peak: float = parameter(
        default=1.5,
        domain=Real(1.0, open_low=False),
        unit="x the mean",
        symbol="p",
        about="arrival rate in a burst, over the mean rate",
        slider=Slider(1, 5, 0.1),
    )
    share: float = parameter(
        default=0.2,
        domain=Real(0.0, 1.0),
        symbol="s",
        about="share of the time that is in a burst",
        slider=Slider(0.05, 0.95, 0.05),
    )
    burst: float = parameter(
        default=0.1,
        domain=Real(),
        unit="s",
        symbol="L",
        about="mean time that a burst lasts",
        slider=Slider(0.001, 10.0, 0.05, log=True),
    )

    verified_with: ClassVar[int] = 16_000_000
    _assumptions: ClassVar[tuple[Assumption, ...]] = (
        Assumption("two rates, each for an exponential time", "optimistic if some bursts are longer or higher"),
        *BurstyPool._assumptions,
    )

    def _check(self) -> None:
        super()._check()
        if self.peak * self.share > 1.0:
            raise ValueError(
                "ModulatedArrivals.peak x share must lie in [0, 1]: more requests cannot come in bursts than in all; "
                f"got {self.peak!r} x {self.share!r}"
            )

    @property
    def rates(self) -> tuple[float, float]:
        """The arrival rates in calm and in a burst (requests/s)."""
        calm = self.arrival_rate * (1.0 - self.share * self.peak) / (1.0 - self.share)
        return (calm, self.arrival_rate * self.peak)

    @property
    def leaving(self) -> tuple[float, float]:
        """The rates at which calm and bursts end (1/s)."""
        return (self.share / (1.0 - self.share) / self.burst, 1.0 / self.burst)

    def _bursts(self, service: Distribution) -> Modulated:
        return Modulated(self.rates, self.leaving, service)

    @functools.cached_property
    def _waits(self) -> ModulatedWaits:
        if self._slots > MOST_SLOTS:
            raise NoClosedForm(f"ModulatedArrivals has a closed form for up to {MOST_SLOTS:,} slots: simulate it")
        return modulated_waits(self._slots, self._exponential_rate, self.rates, self.leaving)

    @property
    def _terms(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        return tuple(self._waits.drains), tuple(self._waits.weights.sum(axis=0))

    @property
    def _watched(self) -> float:
        return max(super()._watched, 4.0 * self.burst / self.share)

    @answer("", "share of the requests that find no slot free")
    def probability_of_wait(self) -> float:
        """The weights of all terms together; 1 at overload."""
        return 1.0 if self._overloaded else math.fsum(self._waits.weights.ravel())

    @answer("s", "time before a slot takes the request")
    def wait(self) -> Distribution:
        """Zero, or by a tail that is a sum of two exponentials."""
        if self._overloaded:
            return Never()
        return PhasedWait(*self._terms)

    @answer("s", "time before a slot takes a request that comes in a burst")
    def wait_in_burst(self) -> Distribution:
        """As the wait, of those that come in the phase with more arrivals."""
        if self._overloaded:
            return Never()
        return PhasedWait(tuple(self._waits.drains), tuple(self._waits.weights[1] / self._waits.shares[1]))

    @answer("s", "time from arrival to reply: wait and service")
    def latency(self) -> Distribution:
        """The wait plus an independent service: see `PhasedResponse`."""
        if self._overloaded:
            return Never()
        return PhasedResponse(*self._terms, self._exponential_rate)
