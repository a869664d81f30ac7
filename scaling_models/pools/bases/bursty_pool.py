"""One queue fed in bursts: what the pools of batches and of switching rates share."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from scaling_models.answers import Assumption, Simulation, Timeline, answer
from scaling_models.latency import Distribution, Exponential, Hyperexponential
from scaling_models.montecarlo.estimates import Estimate
from scaling_models.montecarlo.kernels.central import Central, replay_central
from scaling_models.montecarlo.kernels.stalls import in_flight
from scaling_models.montecarlo.runs import Run
from scaling_models.montecarlo.streams import streams_of
from scaling_models.montecarlo.traffic.arrivals import Renewal
from scaling_models.montecarlo.traffic.flows import Flow
from scaling_models.pools.bases.exponential_pool import ExponentialPool
from scaling_models.pools.bases.occupancies import MOST_DRAWN
from scaling_models.pools.bases.pool import Array
from scaling_models.pools.formulas.erlang import erlang_c
from scaling_models.wording import short

HEAVIER = 4.0  # scv of the services where they are shown to vary more


class BurstyPool(ExponentialPool):
    """Base of pools with one FIFO queue before all slots whose requests come in bursts; a subclass says which."""

    violations: ClassVar[tuple[str, ...]] = ("services vary more",)
    _assumptions: ClassVar[tuple[Assumption, ...]] = (
        Assumption("one queue before all slots, as an ideal balancer", "optimistic if requests wait at busy servers"),
        Assumption("exponential service, independent of each other and of the load", "optimistic if it varies more"),
        Assumption("equal servers that never fail", "optimistic if one is slow or down"),
        Assumption("nobody gives up or retries", "pessimistic if requests are abandoned, optimistic if retried"),
    )

    def _bursts(self, service: Distribution) -> Flow:
        """The requests as they come, each wanting such a service."""
        raise NotImplementedError

    def _system(self, flow: Flow) -> Central:
        return Central(flow, self._slots)

    @answer("", "mean wait over that of Poisson arrivals at the same rate: what the bursts cost")
    def burst_factor(self) -> float:
        """E[W] over Erlang's C / (c mu - lambda): without bound where Poisson arrivals would never wait, and no number
        at overload, where both wait without bound."""
        if self._overloaded:
            return math.nan
        return self.wait.mean() / self._poisson_wait if self._poisson_wait > 0 else math.inf

    @property
    def _poisson_wait(self) -> float:
        """The mean wait of M/M/c with the same load (s)."""
        drain = self._slots * self._exponential_rate - self.arrival_rate
        return float(erlang_c(self._slots, self.offered_load)) / drain

    def flow(self, violating: str | None = None, gaps: Distribution | None = None) -> Flow:
        """The requests as they come; "services vary more": scv 4 with the same mean. They take no other `gaps`."""
        if gaps is not None:
            raise ValueError(f"{type(self).__name__} has its own bursts, and takes no gaps; got {short(gaps)}")
        varied = self.known_violation(violating) is not None
        return self._bursts(Hyperexponential(self.service.mean(), HEAVIER) if varied else self.service)

    def _simulation(self, found: Run, seed: int) -> Simulation:
        told = super()._simulation(found, seed)
        if self._exponential and self._poisson_wait > 0:
            wait, poisson = told.wait.mean_estimate(), self._poisson_wait
            told.answers["burst_factor"] = Estimate(wait.value / poisson, wait.error / poisson, wait.freedom)
        return told

    def timeline(self, seed: int = 0) -> Timeline:
        """The pool from empty under its bursts, beside the same pool under Poisson arrivals at the same rate."""
        horizon = min(self._watched, MOST_DRAWN / self.arrival_rate)
        times = np.linspace(0.0, horizon, 400)
        steady = Renewal(Exponential(1.0 / self.arrival_rate), self.service)
        bursts, poisson = (self._followed(flow, times, seed) for flow in (self.flow(), steady))
        return Timeline(
            f"at {self.utilization:.0%} load the bursts fill the pool up to {bursts.max():.0f} requests, "
            f"Poisson arrivals up to {poisson.max():.0f}",
            times,
            {"requests in the pool, in bursts": bursts, "Poisson arrivals": poisson},
            "requests",
        )

    @property
    def _watched(self) -> float:
        """How long a timeline lasts (s)."""
        return 400.0 * self.service.mean()

    def _followed(self, flow: Flow, times: Array, seed: int) -> Array:
        state = flow.start(1, streams_of(seed, 2, 0))
        services, gaps, _ = flow.draw(state, streams_of(seed, 2, 1), int(2.0 * self.arrival_rate * times[-1]) + 100)
        arrivals = np.cumsum(gaps[:, 0])
        waits = replay_central(arrivals, services[:, 0], self._slots)
        return in_flight(arrivals, arrivals + waits + services[:, 0], times)
