"""A load that goes up and down in time: what its average hides."""

from __future__ import annotations

import math
from concurrent.futures import Executor
from typing import ClassVar

import numpy as np

from scaling_models.answers import EXACT, Accuracy, NoClosedForm, Simulation, Timeline, answer
from scaling_models.latency import Distribution, Hyperexponential, Never
from scaling_models.montecarlo.estimates import Estimate
from scaling_models.montecarlo.kernels.central import Central, replay_central
from scaling_models.montecarlo.kernels.cycles import BATCHES, follow_cycles
from scaling_models.montecarlo.kernels.stalls import in_flight
from scaling_models.montecarlo.runs import Plan
from scaling_models.montecarlo.streams import streams_of
from scaling_models.montecarlo.traffic.arrivals import TimeVarying, sinusoid
from scaling_models.montecarlo.traffic.flows import Flow
from scaling_models.pools.bases.pool import Array
from scaling_models.pools.bases.waving_pool import FAR_HURRY, NEAR_HURRY, WavingPool
from scaling_models.pools.formulas import modified_load as waves
from scaling_models.pools.formulas.erlang import erlang_c
from scaling_models.pools.times.phased import PhasedResponse
from scaling_models.wording import short

MANY = 200  # slots before which its waits are too short to matter for the latency
NEAR = Accuracy("within 3%", 0.03, "the wave is slow beside the queue: modified offered load")
FAR = Accuracy("within 15%", 0.15, "the wave is about as slow as the queue: modified offered load")
NONE = Accuracy("simulated", None, "the queue outlasts its peak, and has too many states")
AT_THE_ATOM = Accuracy("simulated", None, "the percentile is too near the share of those that do not wait")
KNOWN = ("utilization", "offered_load", "peak_utilization", "wait_at_constant_load", "pointwise_peak")
HEAVIER = 4.0  # scv of the services where they are shown to vary more
LOOKS, LANES = 96, 128  # times of day, and independent runs, of a simulation
LONGEST = 500_000  # requests in a period that can still be simulated


class TimeVaryingLoad(WavingPool):
    """Poisson arrivals at the rate arrival_rate (1 + amplitude sin(2 pi t / period)) before one queue: M_t/M/c.

    Exact by the chain's forward equations over a period (`formulas.time_varying.course`) where it has up to 700 states;
    beyond, Erlang's C at the modified offered load (Eick, Massey and Whitt 1993) where the wave is slow beside the
    queue. All answers are of the average request of a period, of which more come when the load is high, unless
    they say otherwise.
    """

    headline: ClassVar[str] = "latency"
    verified_with: ClassVar[int] = 1_600_000

    def _accuracy(self, metric: str, level: float | None = None) -> Accuracy:
        """Exact for the chain; of the modified offered load by how slow the wave is beside the queue."""
        declared = super()._accuracy(metric, level)
        if metric == "lag" and self.amplitude == 0.0:
            return EXACT
        if metric in KNOWN or self._overloaded or not self._exponential:
            return EXACT if metric in KNOWN else declared
        if self._solvable or self.amplitude == 0.0:
            return declared
        if self._hurry > FAR_HURRY or metric == "lag":
            return NONE
        if metric == "wait" and level is not None and self.probability_of_wait / 2.0 < 1.0 - level:
            return AT_THE_ATOM
        hidden = metric in ("latency", "latency_at_peak", "in_flight") and self._slots >= MANY
        return NEAR if hidden or self._hurry <= NEAR_HURRY else FAR

    @answer("", "share of the slots' time that the load at its peak would keep busy; above 1 the queue grows then")
    def peak_utilization(self) -> float:
        """rho (1 + A)."""
        return self.utilization * (1.0 + self.amplitude)

    @answer("", "share of the requests that find no slot free")
    def probability_of_wait(self) -> float:
        """Of the average request of a period; 1 at overload."""
        if self._overloaded:
            return 1.0
        course = self._course
        if course is not None:
            return float(course.shares @ course.waiting(self._slots))
        _, shares, waiting = self._nodes
        return float(shares @ waiting)

    @answer("", "share of the requests that find no slot free, at the time when it is highest")
    def peak_probability_of_wait(self) -> float:
        """Of those that come at the worst moment of the period; 1 at overload."""
        return 1.0 if self._overloaded else self._worst[1]

    @answer("", "share of the requests that would wait under a constant load of the same mean")
    def wait_at_constant_load(self) -> float:
        """Erlang's C at the mean load: what an average over the day promises."""
        return float(erlang_c(self._slots, min(self.offered_load, self._slots)))

    @answer("", "share of the requests that would wait if the load stayed at its peak")
    def pointwise_peak(self) -> float:
        """Erlang's C at the peak load, 1 at or over capacity: what the worst minute would be, did it last."""
        return float(erlang_c(self._slots, min(self.offered_load * (1.0 + self.amplitude), self._slots)))

    @answer("s", "time before a slot takes the request")
    def wait(self) -> Distribution:
        """A mixture over the period of stages of a busy pool."""
        return Never() if self._overloaded else self._times[0]

    @answer("s", "time from arrival to reply: wait and service")
    def latency(self) -> Distribution:
        """The wait and an exponential service."""
        return Never() if self._overloaded else self._times[1]

    @answer("s", "the latency of a request that comes when most of them wait")
    def latency_at_peak(self) -> Distribution:
        """At the moment of `peak_probability_of_wait`."""
        if self._overloaded:
            return Never()
        course = self._course
        if course is not None:
            return self._staged(course.at(self._worst[0]), course.first)[1]
        load = float(waves.modified_load(self._wave, self._worst[0]))
        rate = 1.0 / self.service.mean()
        return PhasedResponse(((self._slots - load) * rate,), (self._worst[1],), rate)

    @answer("requests", "mean number of requests in the pool when there are most")
    def peak_in_flight(self) -> float:
        """At the worst moment of the period."""
        return math.inf if self._overloaded else self._fullest[1]

    @answer("s", "time from the load's peak until there are most requests in the pool")
    def lag(self) -> float:
        """The queue is longest when the load has fallen again to what the pool serves. No number at overload."""
        if self._overloaded:
            return math.nan
        if self.amplitude == 0.0:
            return 0.0
        if self._course is None:
            raise NoClosedForm(
                "TimeVaryingLoad: the modified offered load does not tell the queue's own lag: simulate it"
            )
        return float((self._fullest[0] - 0.25 * self._wave.period) * self.service.mean())

    def course(self, times: Array) -> dict[str, Array]:
        """Through the period, at times (s): the load, and the chance of a wait by four ways to reckon it.

        The exact chain (NaN where it is too large), the modified offered load (1 where that is over capacity), the load
        of the moment as if it stayed, and the mean load.
        """
        wave, at = self._wave, np.asarray(times, dtype=float) / self.service.mean() % self._wave.period
        known = self._exponential and self._solvable and not self._overloaded
        course = self._course if known else None
        exact = np.full(at.shape, math.nan) if course is None else course.along(course.waiting(self._slots))(at)
        return {
            "arrivals": self.arrival_rate * (1.0 + self.amplitude * np.sin(wave.speed * at)),
            "exact": exact,
            "modified offered load": np.asarray(waves.modified_wait(wave, at)),
            "as if the moment's load stayed": np.asarray(erlang_c(self._slots, np.maximum(wave.at(at), 0.0))),
            "as if the mean load stayed": np.full(at.shape, self.wait_at_constant_load),
        }

    def flow(self, violating: str | None = None, gaps: Distribution | None = None) -> TimeVarying:
        """The requests as they come; "services vary more": scv 4 with the same mean. They take no other `gaps`."""
        if gaps is not None:
            raise ValueError(f"TimeVaryingLoad has its own arrivals, and takes no gaps; got {short(gaps)}")
        varied = self.known_violation(violating) is not None
        service = Hyperexponential(self.service.mean(), HEAVIER) if varied else self.service
        return sinusoid(self.arrival_rate, self.amplitude, self.period, service)

    def _system(self, flow: Flow) -> Central:
        return Central(flow, self._slots)

    def simulate(
        self,
        requests: int | None = None,
        seed: int = 0,
        *,
        gaps: Distribution | None = None,
        violating: str | None = None,
        executor: Executor | None = None,
        cut: Plan | None = None,
    ) -> Simulation:
        """Independent runs from empty over whole periods, the first ones left out, with so many `requests` at least.

        A peak is looked for in one half of the runs and told by the other. "services vary more": scv 4. `gaps` are
        refused; `executor` and `cut` change nothing. Raises `NotSettled` at overload, and ValueError for periods of
        more than 500,000 requests. Exact but for chance, and for the 1/96 of a period over which a peak is averaged.
        """
        wanted = self._usual_requests if requests is None else requests
        flow = self.flow(violating, gaps)
        self._checked(wanted, flow)
        each = self.arrival_rate * self.period
        if each > LONGEST:
            raise ValueError(f"a period of {each:,.0f} requests is too long to be simulated: {LONGEST:,} at most")
        room = self._slots * (1.0 - math.sqrt(self.utilization)) ** 2
        warm = math.ceil((10.0 + 10.0 / room) * self.service.mean() / self.period) + 1
        lanes = LANES if wanted >= 2 * LANES * warm * each else BATCHES
        cycles = math.ceil(wanted / (lanes * each))
        found = follow_cycles(flow, self._slots, lanes, warm, cycles, LOOKS, seed)
        mean = found.latency.mean_estimate()
        return Simulation(
            self,
            found.latency.size,
            seed,
            wait=found.wait,
            latency=found.latency,
            probability_of_wait=found.share_waiting,
            peak_probability_of_wait=found.peak_waiting,
            peak_in_flight=found.peak_in_system,
            in_flight=Estimate(self.arrival_rate * mean.value, self.arrival_rate * mean.error, mean.freedom),
        )

    def timeline(self, seed: int = 0) -> Timeline:
        """Two periods of the pool from empty, beside the same pool under a constant load of the same mean."""
        each = self.arrival_rate * self.period
        span = 2.0 * self.period if each <= 50_000 else 1e5 / self.arrival_rate
        times = np.linspace(0.0, span, 400)
        steady = TimeVarying((0.0,), (self.arrival_rate,), math.inf, self.service)
        waves, constant = (self._followed(flow, times, seed) for flow in (self.flow(), steady))
        peaks = tuple((turn, "peak load") for turn in (0.25 * self.period, 1.25 * self.period) if turn < span)
        return Timeline(
            f"up to {waves.max():.0f} requests are in the pool as the load goes up and down, "
            f"{constant.max():.0f} if it stays at its mean",
            times,
            {"requests in the pool": waves, "at a constant load": constant},
            "requests",
            peaks,
        )

    def _followed(self, flow: Flow, times: Array, seed: int) -> Array:
        state = flow.start(1, streams_of(seed, 2, 0))
        count = self.arrival_rate * (1.0 + self.amplitude) * times[-1]
        services, gaps, _ = flow.draw(state, streams_of(seed, 2, 1), int(count + 6.0 * math.sqrt(count)) + 100)
        arrivals = np.cumsum(gaps[:, 0])
        waits = replay_central(arrivals, services[:, 0], self._slots)
        return in_flight(arrivals, arrivals + waits + services[:, 0], times)
