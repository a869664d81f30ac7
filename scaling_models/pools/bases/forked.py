"""Requests that go to several servers at once: what a leg sees, and the simulated twin."""

from __future__ import annotations

import dataclasses
import functools
from typing import ClassVar

import numpy as np

from scaling_models.answers import Assumption, Simulation, answer
from scaling_models.domains import Choice, Integer, Real
from scaling_models.latency import Deterministic, Distribution, Exponential
from scaling_models.montecarlo.estimates import Estimate, Sampled, at_least_binomial
from scaling_models.montecarlo.kernels.forks import ForkJoin, distinct
from scaling_models.montecarlo.kernels.stalls import stalled_waits
from scaling_models.montecarlo.runs import Run
from scaling_models.montecarlo.streams import stream
from scaling_models.montecarlo.traffic.arrivals import Renewal
from scaling_models.montecarlo.traffic.flows import Flow
from scaling_models.parameters import Slider, parameter
from scaling_models.pools.bases.pool import Array, Pool
from scaling_models.pools.random_split import RandomSplit

LONELY = 1e9  # mean services between the requests of the twin in which no leg waits


class Forked(Pool):
    """Base of pools whose requests send a leg to each of several servers: as one leg sees it, a random split."""

    arrival_rate: float = parameter(
        default=50.0,
        domain=Real(),
        unit="requests/s",
        symbol="λ",
        about="requests arriving a second, each with all its legs",
        slider=Slider(1, 1000, 1),
    )
    legs: int = parameter(
        default=8,
        domain=Integer(1, 10**4),
        unit="legs",
        symbol="n",
        about="servers that each request asks",
        slider=Slider(1, 100, 1),
    )
    needed: int = parameter(
        default=0,
        domain=Integer(0, 10**4),
        unit="legs",
        symbol="k",
        about="answers that the request waits for; 0: all of them",
        slider=Slider(0, 100, 1),
    )
    queues: str = parameter(
        default="fifo",
        domain=Choice(("fifo", "none")),
        about="each server has a queue, or every leg is served at once",
    )
    deadline: float = parameter(
        default=0.100,
        domain=Real(),
        unit="s",
        symbol="d",
        about="when one answers with whatever has come",
        slider=Slider(0.001, 1.0, 0.05, log=True),
    )

    verified_with: ClassVar[int] = 1_000_000
    violations: ClassVar[tuple[str, ...]] = ("arrivals in bursts",)
    _assumptions: ClassVar[tuple[Assumption, ...]] = (
        *Pool._assumptions,
        Assumption("the legs' services are independent", "pessimistic if a slow request is slow everywhere"),
        Assumption("legs that are not waited for run to their end", "pessimistic if they are cancelled"),
    )

    def _check(self) -> None:
        super()._check()
        if self.queues == "fifo" and self.legs > self.servers:
            raise ValueError(
                f"{type(self).__name__}.legs must lie in [1, {self.servers}], the servers; got {self.legs}"
            )
        if self.needed > self.legs:
            raise ValueError(f"{type(self).__name__}.needed must lie in [0, {self.legs}], the legs; got {self.needed}")

    @property
    def _queued(self) -> bool:
        return self.queues == "fifo"

    @property
    def _waited_for(self) -> int:
        return self.needed or self.legs

    @functools.cached_property
    def _each_leg(self) -> RandomSplit:
        """The pool as one leg sees it."""
        return RandomSplit(self.arrival_rate * self.legs, self.servers, self.service, self.workers)

    @answer("", "share of the workers' time that is busy with legs; 0 without queues, where workers are never short")
    def utilization(self) -> float:
        """rho = lambda n E[S] / (number of workers)."""
        return self.offered_load / self._slots if self._queued else 0.0

    @answer("erlangs", "mean number of workers that the legs would occupy")
    def offered_load(self) -> float:
        """a = lambda n E[S]."""
        return self.arrival_rate * self.legs * self.service.mean()

    @answer("", "share of the legs that find no worker free")
    def probability_of_wait(self) -> float:
        """A leg's, as in a random split."""
        return self._each_leg.probability_of_wait if self._queued else 0.0

    @answer("s", "time before a worker takes a leg")
    def wait(self) -> Distribution:
        """A leg's, as in a random split."""
        return self._each_leg.wait if self._queued else Deterministic(0.0)

    @answer("s", "time from a request's arrival to the answer of one of its legs")
    def leg_latency(self) -> Distribution:
        """As in a random split: each server's arrivals are Poisson."""
        return self._each_leg.latency if self._queued else self.service

    @property
    def _usual_requests(self) -> int:
        return max(20_000, 5_000_000 // max(10, self.legs))

    def _system(self, flow: Flow) -> ForkJoin:
        if self._queued:
            return ForkJoin(flow, self.legs, self.servers, self.needed, self.workers, self.deadline)
        gap = Exponential(LONELY * self.service.mean())
        return ForkJoin(Renewal(gap, self.service), self.legs, self.legs, self.needed, 1, self.deadline)

    def _simulation(self, found: Run, seed: int) -> Simulation:
        latency, busy = found.times["latency"], found.ratio("busy", "time")
        mean, tasks = latency.mean_estimate(), int(found.tallies["tasks"].sum())
        answers: dict[str, Sampled | Estimate] = {
            "latency": latency,
            "leg_latency": found.times["task"],
            "answered": at_least_binomial(found.ratio("answered", "tasks"), tasks),
            "in_flight": Estimate(self.arrival_rate * mean.value, self.arrival_rate * mean.error, mean.freedom),
        }
        if self._queued:
            slots = self._slots
            answers["utilization"] = busy
            answers["offered_load"] = Estimate(slots * busy.value, slots * busy.error, busy.freedom)
        if self._waited_for == self.legs:
            late = latency.ccdf_estimate(self.deadline)
            answers["all_answered"] = dataclasses.replace(late, value=1.0 - late.value)
        return Simulation(self, found.requests, seed, cut=found.cut, **answers)

    def _stalled(self, arrivals: Array, services: Array, at: float, length: float, seed: int) -> Array:
        """Departures where all servers stall together; the services given are of no use, for each leg has its own."""
        count = len(arrivals)
        work = self.service._draw((count, self.legs), stream(seed, 0))
        if not self._queued:
            begun = np.where((arrivals >= at) & (arrivals < at + length), at + length, arrivals)[:, None]
            ends = begun + work
            ends += np.where((begun < at) & (ends > at), length, 0.0)
        else:
            chosen = distinct(self.legs, self.servers, (count, 1), stream(seed, 1))[:, :, 0]
            ends = np.empty_like(work)
            for server in range(self.servers):
                rows, legs = np.nonzero(chosen == server)
                own, mine = arrivals[rows], work[rows, legs]
                ends[rows, legs] = own + stalled_waits(own, mine, self.workers, at, length) + mine
        return np.sort(ends, axis=1)[:, self._waited_for - 1]
