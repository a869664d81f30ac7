"""Requests sent to more than one server: what hedging and redundancy share, and their simulated twin."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from scaling_models.answers import Assumption, Model, NoClosedForm, Simulation, Timeline, answer
from scaling_models.domains import Integer, Real
from scaling_models.latency import SPREAD, Distribution, Exponential
from scaling_models.montecarlo.arrays import Array
from scaling_models.montecarlo.estimates import NotSettled, Sampled
from scaling_models.montecarlo.kernels.copies import HedgingRule
from scaling_models.montecarlo.kernels.hedging import Hedging
from scaling_models.montecarlo.runs import Run, run
from scaling_models.montecarlo.sides import LANES, Side, watched
from scaling_models.montecarlo.streams import checked_requests, streams_of
from scaling_models.parameters import Slider, parameter
from scaling_models.pools.bases.services import check_service
from scaling_models.pools.central_queue import CentralQueue

MOST_SERVERS = 1000
RUNS = 32  # whose mean a timeline shows
STRETCHES = 100  # of a timeline
SAME_SIZE = "copies of the same size"


class Copied(Model):
    """Base: Poisson requests at FIFO servers with one worker each, chosen at random; a subclass says the rule."""

    arrival_rate: float = parameter(
        default=800.0,
        domain=Real(),
        unit="requests/s",
        symbol="λ",
        about="requests arriving a second",
        slider=Slider(10, 2000, 10),
    )
    servers: int = parameter(
        default=20,
        domain=Integer(2, MOST_SERVERS),
        unit="servers",
        symbol="N",
        about="servers, each a queue of its own",
        slider=Slider(2, 100, 1),
    )
    service: Distribution = parameter(
        default=Exponential(0.010), domain=SPREAD, unit="s", symbol="S", about="the time that a copy occupies a server"
    )

    _assumptions: ClassVar[tuple[Assumption, ...]] = (
        Assumption("Poisson arrivals", "optimistic if arrivals are bursty"),
        Assumption("each copy draws its service anew", "optimistic if a slow request is slow everywhere"),
        Assumption("servers independent of each other", "optimistic if they are slow together"),
    )
    violations: ClassVar[tuple[str, ...]] = (SAME_SIZE,)

    def _rule(self, redraw: bool) -> HedgingRule:
        """When copies are sent, and how many."""
        raise NotImplementedError

    def _check(self) -> None:
        super()._check()
        check_service(type(self).__name__, self.service)

    @property
    def _cancel(self) -> str:
        """What becomes of the other copies when one is done, by the simulation's names."""
        raise NotImplementedError

    @property
    def _redraw(self) -> bool:
        """Whether a copy draws its service anew."""
        return True

    @property
    def _bistable(self) -> bool:
        """Whether an overloaded system may stay so."""
        return False

    @property
    def _load(self) -> float:
        """rho: of a server, without further copies."""
        return self.offered_load / self.servers

    @property
    def _exponential(self) -> bool:
        return CentralQueue(1.0, 1, self.service)._exponential

    def _refuse(self, what: str) -> NoClosedForm:
        return NoClosedForm(f"{type(self).__name__} has no closed form {what}: simulate it")

    @answer("erlangs", "mean number of servers that the requests would occupy without further copies")
    def offered_load(self) -> float:
        """a = lambda E[S]."""
        return self.arrival_rate * self.service.mean()

    def _system(self, redraw: bool) -> Hedging:
        return Hedging(Exponential(1.0 / self.arrival_rate), self.service, self._rule(redraw), self._cancel)

    def simulate(self, requests: int = 300_000, seed: int = 0, *, violating: str | None = None) -> Simulation:
        """`requests` events at least, from empty and from overfull until these have met, and on.

        Where an overloaded system may stay so, from empty alone, and no promise that the state lasts. `violating`
        "copies of the same size" has every copy carry its request's. Raises `NotSettled` at overload, and where the
        state does not last.
        """
        checked_requests(self, requests)
        redraw = self._redraw and self.known_violation(violating) is None
        if self._load >= 1.0:
            raise NotSettled(f"the load is {self._load:.4g}, at or over capacity: there is no steady state to simulate")
        found = self._found(redraw, requests, seed)
        return Simulation(self, requests, seed, latency=found[0], copies=found[1].ratio("copies", "requests"))

    def _found(self, redraw: bool, requests: int, seed: int) -> tuple[Sampled, Run | Side]:
        system = self._system(redraw)
        if not self._bistable:
            seen = run(system, requests, seed)
            return seen.times["latency"], seen
        warm_up = int(self.servers * 40.0 / (1.0 - self._load) ** 2)
        side = watched(system, 0.0, min(warm_up, 20_000), -(-requests // LANES), seed, 0)
        side.check("copies", "requests")
        return side.latency("latency"), side

    def timeline(self, seed: int = 0) -> Timeline:
        """Every server begins with twenty services to do: does the latency come down, with copies and without?"""
        if self._load >= 1.0:
            raise ValueError(f"the load is {self._load:.0%}: overloaded with nothing breaking")
        backlog = 20.0 * self.service.mean()
        horizon = 4.0 * backlog / (1.0 - self._load)
        times = (np.arange(STRETCHES) + 0.5) * horizon / STRETCHES
        alone = HedgingRule(self.servers, math.inf)
        lines = {
            "latency with copies": self._watched(self._rule(self._redraw), self._cancel, backlog, times, seed),
            "latency without": self._watched(alone, "never", backlog, times, seed),
        }
        late = [float(np.nanmean(line[-STRETCHES // 5 :])) for line in lines.values()]
        says = f"a backlog of {backlog:.2g} s at {self._load:.0%} load; {horizon:.2g} s later the latency is "
        says += f"{1000 * late[0]:.3g} ms with copies, {1000 * late[1]:.3g} ms without"
        return Timeline(says, times, lines, "s", ((0.0, "backlog"),))

    def _watched(self, rule: HedgingRule, cancel: str, backlog: float, times: Array, seed: int) -> Array:
        """Mean latency (s) of the requests answered around the times."""
        system = Hedging(Exponential(1.0 / self.arrival_rate), self.service, rule, cancel)
        state = system.start(np.full(RUNS, backlog), streams_of(seed, 0))
        sums, counts = np.zeros((2, len(times)))
        clock, block, steps = np.zeros(RUNS), 0, max(1, int(self.arrival_rate * (times[1] - times[0])))
        while clock.mean() < times[-1] + times[0]:
            block += 1
            told, state = system.advance(state, streams_of(seed, block), steps)
            at = min(int(clock.mean() / (2.0 * times[0])), len(times) - 1)
            seen = told.times["latency"]
            sums[at] += np.nansum(seen)
            counts[at] += np.isfinite(seen).sum()
            clock += told.tallies["time"]
        return np.where(counts > 0, sums / np.maximum(counts, 1.0), math.nan)
