"""Flows of requests that a simulated pool is fed with: Poisson and renewal, in batches, correlated, or measured."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from scipy import special

from scaling_models.latency import Distribution
from scaling_models.montecarlo.arrays import Array
from scaling_models.montecarlo.streams import Streams
from scaling_models.montecarlo.traffic.flows import Drawn, Flow, FlowRecord, FlowState
from scaling_models.montecarlo.traffic.modulation import Modulated, TimeVarying, sinusoid

__all__ = ["Batches", "Correlated", "Flow", "FlowState", "Modulated", "Renewal", "TimeVarying", "cut", "sinusoid"]


@dataclasses.dataclass(frozen=True)
class Renewal(FlowRecord):
    """Independent gaps and services; exponential gaps make Poisson arrivals."""

    gap: Distribution
    service: Distribution

    @property
    def arrival_rate(self) -> float:
        """One over the mean gap (requests/s)."""
        return 1.0 / self.gap.mean()

    def draw(self, state: FlowState, rngs: Streams, customers: int) -> Drawn:
        """Services and gaps of the next customers (customers, lanes)."""
        shape = (customers, len(state[0]))
        return self.service._draw(shape, rngs(0)), self.gap._draw(shape, rngs(1)), state


@dataclasses.dataclass(frozen=True)
class Batches(FlowRecord):
    """Geometric batches, P(size = k) = (1 - 1/b)^(k-1) / b, at Poisson instants: gap 0 within a batch.

    A geometric batch forgets how far it has come, so each customer begins a new batch with probability 1/b, after an
    exponential gap of mean b / arrival_rate. `arrival_rate` counts requests, not batches. Counts over long times have
    variance over mean 2b - 1.
    """

    arrival_rate: float
    batch_mean: float
    service: Distribution

    def __post_init__(self) -> None:
        self.require(0 < self.arrival_rate < math.inf, "arrival_rate must lie in (0, inf) requests/s")
        self.require(1 <= self.batch_mean < math.inf, "batch_mean must lie in [1, inf) requests")

    def draw(self, state: FlowState, rngs: Streams, customers: int) -> Drawn:
        """Services and gaps of the next customers (customers, lanes)."""
        shape = (customers, len(state[0]))
        gaps = rngs(1).standard_exponential(shape) * (self.batch_mean / self.arrival_rate)
        gaps *= rngs(6).random(shape) < 1.0 / self.batch_mean
        return self.service._draw(shape, rngs(0)), gaps, state


@dataclasses.dataclass(frozen=True)
class Correlated(FlowRecord):
    """Services that resemble their neighbours, each of exactly the law `service`; gaps are independent.

    Gaussian copula along the customers of a lane: z_n = r z_(n-1) + sqrt(1 - r^2) e_n with independent standard normal
    e_n, and service F^-1(Phi(z_n)). `correlation` r in (-1, 1) is the normals', not the services' own (which is nearer
    to zero).
    """

    gap: Distribution
    service: Distribution
    correlation: float

    def __post_init__(self) -> None:
        self.require(-1 < self.correlation < 1, "correlation must lie in (-1, 1)")

    @property
    def arrival_rate(self) -> float:
        """One over the mean gap (requests/s)."""
        return 1.0 / self.gap.mean()

    def start(self, lanes: int, rngs: Streams) -> FlowState:
        """The normal score of the customer before the first."""
        return (rngs(7).standard_normal(lanes),)

    def draw(self, state: FlowState, rngs: Streams, customers: int) -> Drawn:
        """Services and gaps of the next customers (customers, lanes), and the last one's score."""
        from scipy import signal  # late: it takes as long to import as all the models

        shape = (customers, len(state[0]))
        noise = rngs(0).standard_normal(shape) * math.sqrt(1.0 - self.correlation**2)
        first = self.correlation * state[0][None, :]
        scores, _ = signal.lfilter([1.0], [1.0, -self.correlation], noise, axis=0, zi=first)
        return self._services(scores), self.gap._draw(shape, rngs(1)), (scores[-1].copy(),)

    def _services(self, scores: Array) -> Array:
        """F^-1(Phi(z)), from the upper tail where that is the shorter way, which keeps the tail's precision."""
        upper = scores > 0
        services = np.empty_like(scores)
        services[upper] = self.service._iccdf(special.ndtr(-scores[upper]))
        services[~upper] = self.service._icdf(special.ndtr(scores[~upper]))
        return services


def cut(arrivals: Array, services: Array, lanes: int, lead: int = 0) -> tuple[Array, Array]:
    """A measured trace cut into lanes of successive customers, to be replayed: services and gaps (customers, lanes).

    `arrivals` (s, ascending) and `services` (s) are the trace's, (requests,). Each lane is a stretch of equal length
    preceded by the `lead` customers before it, to warm up on; the first 1 + lead customers only lead, and what is left
    of the last stretch is dropped. Raises `ValueError` where no stretch has a customer.
    """
    length = (len(arrivals) - 1 - lead) // lanes
    if length < 1 or lead < 0 or len(arrivals) != len(services):
        raise ValueError(f"a trace of {len(arrivals)} customers cannot be cut into {lanes} lanes with a lead of {lead}")
    rows = 1 + np.arange(lead + length)[:, None] + length * np.arange(lanes)
    return services[rows], np.diff(arrivals)[rows - 1]
