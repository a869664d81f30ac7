"""A load like a wave before one queue: parameters, and the chain or what stands for it."""

from __future__ import annotations

import functools
from typing import ClassVar

import numpy as np

from scaling_models.answers import Assumption, NoClosedForm
from scaling_models.domains import Integer, Real
from scaling_models.latency import SPREAD, Distribution, Exponential
from scaling_models.parameters import Slider, parameter
from scaling_models.pools.bases.exponential_pool import ExponentialPool
from scaling_models.pools.bases.pool import Array
from scaling_models.pools.formulas import modified_load as waves
from scaling_models.pools.formulas import time_varying as formulas
from scaling_models.pools.formulas.erlang import erlang_c
from scaling_models.pools.times.phased import PhasedResponse, PhasedWait
from scaling_models.pools.times.stages import staged

MOST_STATES = 700  # of the exact chain: it takes a tenth of a second, or two
NEAR_HURRY, FAR_HURRY = 0.12, 0.5  # up to which Erlang's C at the modified load was measured
NODES = 64  # of the period, at which the approximation is averaged


class WavingPool(ExponentialPool):
    """Base of `TimeVaryingLoad`: what it is given, the course through a period, and the times that follow."""

    arrival_rate: float = parameter(
        default=140.0,
        domain=Real(),
        unit="requests/s",
        symbol="λ",
        about="requests arriving a second, on average over a period",
        slider=Slider(10, 400, 5),
    )
    servers: int = parameter(
        default=20,
        domain=Integer(1, 10**6),
        unit="servers",
        symbol="N",
        about="servers in the pool",
        slider=Slider(1, 100, 1),
    )
    service: Distribution = parameter(
        default=Exponential(0.1),
        domain=SPREAD,
        unit="s",
        symbol="S",
        about="the time that a request occupies a slot",
    )
    amplitude: float = parameter(
        default=0.3,
        domain=Real(0.0, 1.0, open_low=False, open_high=False),
        symbol="A",
        about="by how much the load rises above its mean and falls below it, relative to it",
        slider=Slider(0.0, 1.0, 0.05),
    )
    period: float = parameter(
        default=10.0,
        domain=Real(),
        unit="s",
        symbol="P",
        about="time from one peak to the next",
        slider=Slider(0.01, 1e5, 0.1, log=True),
    )

    violations: ClassVar[tuple[str, ...]] = ("services vary more",)
    _assumptions: ClassVar[tuple[Assumption, ...]] = (
        Assumption("the load goes like a sine, every period alike", "optimistic if its peak is narrower and higher"),
        Assumption("Poisson arrivals about it", "optimistic if arrivals are bursty"),
        Assumption("exponential service, one queue before all servers", "optimistic if it varies more"),
        Assumption("the servers stay as many", "pessimistic if they are scaled with the load"),
        Assumption("nobody gives up or retries", "pessimistic if requests are abandoned, optimistic if retried"),
    )

    @functools.cached_property
    def _wave(self) -> waves.Wave:
        return waves.Wave(self._slots, self.offered_load, self.amplitude, self.period / self.service.mean())

    @functools.cached_property
    def _hurry(self) -> float:
        return float(waves.hurry(self._wave))

    @functools.cached_property
    def _solvable(self) -> bool:
        """Whether the exact chain is small enough; without a wave there is Erlang's formula."""
        if self.amplitude == 0.0:
            return False
        fewest, most = formulas.states(self._wave)
        return most - fewest <= MOST_STATES

    @functools.cached_property
    def _course(self) -> formulas.Course | None:
        """The exact chain's, or None where the modified offered load is to answer."""
        self._exponential_rate  # noqa: B018  # refuses other services
        if self._solvable:
            return formulas.course(self._wave)
        if self.amplitude > 0.0 and self._hurry > FAR_HURRY:
            raise NoClosedForm(
                f"TimeVaryingLoad: the queue outlasts its peak, and has more than {MOST_STATES} states: simulate it, "
                "or see LoadStep for what a long overload leaves"
            )
        return None

    @functools.cached_property
    def _nodes(self) -> tuple[Array, Array, Array]:
        """Modified loads through the period, the shares of the requests that come then, and their chances to wait."""
        times = (np.arange(NODES) + 0.5) / NODES * self._wave.period
        loads = np.asarray(waves.modified_load(self._wave, times), dtype=float)
        shares = self._wave.at(times) / (NODES * self.offered_load)
        return loads, shares, np.asarray(erlang_c(self._slots, np.maximum(loads, 0.0)), dtype=float)

    def _phased(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Drains (1/s) and weights of the terms of the wait, approximately."""
        loads, shares, waiting = self._nodes
        drains = (self._slots - loads) / self.service.mean()
        return tuple(drains.tolist()), tuple((shares * waiting).tolist())

    def _staged(self, found: Array, first: int) -> tuple[Distribution, Distribution]:
        """Wait and latency of a request that finds `first`, `first` + 1, ... others with the given chances."""
        stages = np.maximum(first + np.arange(len(found)) - self._slots + 1, 0)
        chances = np.bincount(stages, weights=found).astype(float)
        return staged(self._slots / self.service.mean(), chances, self._slots)

    @functools.cached_property
    def _times(self) -> tuple[Distribution, Distribution]:
        """Wait and latency of the average request."""
        course = self._course
        if course is not None:
            return self._staged(course.found(), course.first)
        terms = self._phased()
        return PhasedWait(*terms), PhasedResponse(*terms, 1.0 / self.service.mean())

    @functools.cached_property
    def _worst(self) -> tuple[float, float]:
        """When most requests have to wait (mean services), and how many do."""
        course = self._course
        if course is not None:
            return formulas.peak(course, course.waiting(self._slots))
        at = float(0.25 * self._wave.period + waves.lag(self._wave))
        return at, float(waves.modified_wait(self._wave, at))

    @functools.cached_property
    def _fullest(self) -> tuple[float, float]:
        """When there are most requests (mean services), and how many there are on average."""
        course = self._course
        if course is not None:
            return formulas.peak(course, course.in_system())
        at, waiting = self._worst
        load = float(waves.modified_load(self._wave, at))
        return at, load + waiting * load / (self._slots - load)
