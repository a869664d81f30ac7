"""Poisson arrivals whose rate changes: in time, by a timetable, or by chance, with a Markov chain."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any

import numpy as np

from scaling_models.latency import Distribution
from scaling_models.montecarlo.arrays import Array, Indices
from scaling_models.montecarlo.streams import Streams
from scaling_models.montecarlo.traffic.flows import Drawn, FlowRecord, FlowState


@dataclasses.dataclass(frozen=True)
class TimeVarying(FlowRecord):
    """Poisson arrivals at a rate that changes in time, linearly from knot to knot, again and again.

    At `times` (s, ascending from 0; twice the same for a jump) the rate is `rates` (requests/s); after `period` it
    begins anew, and comes back to the first rate by then unless the last knot lies at the period's end. With an
    infinite `period` the last rate stays. By inversion: the integral of the rate from arrival to arrival is a standard
    exponential. Every lane begins at time 0, and its state is the time of its last arrival, so that the arrivals of a
    block are at `state[0] + gaps.cumsum(axis=0)`; `scattered` lanes begin at the time of an arrival drawn at random.
    """

    times: tuple[float, ...]
    rates: tuple[float, ...]
    period: float
    service: Distribution
    scattered: bool = False

    def __post_init__(self) -> None:
        ascending = all(a <= b for a, b in zip(self.times, self.times[1:], strict=False))
        self.require(len(self.times) == len(self.rates) > 0, "times and rates must be equally many, and at least one")
        self.require(self.times[0] == 0 and ascending, "times must ascend from 0")
        self.require(self.times[-1] <= self.period and self.period > 0, "period must lie beyond all times, and over 0")
        self.require(all(0 <= rate < math.inf for rate in self.rates), "rates must lie in [0, inf) requests/s")
        self.require(0 < self.arrival_rate < math.inf, "the mean rate must be over 0")
        self.require(self.period < math.inf or not self.scattered, "a flow without a period cannot be scattered")

    @functools.cached_property
    def _knots(self) -> tuple[Array, Array, Array]:
        """Times, rates and integrated rates at the knots, closed at the period's end."""
        times, rates = np.array(self.times), np.array(self.rates)
        if self.times[-1] < self.period < math.inf:
            times, rates = np.append(times, self.period), np.append(rates, rates[0])
        steps = np.diff(times) * (rates[1:] + rates[:-1]) / 2.0
        return times, rates, np.concatenate([[0.0], np.cumsum(steps)])

    @property
    def arrival_rate(self) -> float:
        """The mean over a period, or the last where there is none (requests/s)."""
        return float(self._knots[2][-1] / self.period) if self.period < math.inf else self.rates[-1]

    def integrated(self, times: Array) -> Array:
        """The mean number of arrivals from 0 to each of the times (s)."""
        knots, rates, sums = self._knots
        whole = np.floor(times / self.period)
        times = times - whole * self.period if self.period < math.inf else times
        at = np.searchsorted(knots, times, side="right") - 1
        after = times - knots[at]
        return np.asarray(sums[at] + after * (rates[at] + self._slopes[at] * after / 2.0) + whole * sums[-1])

    def inverse(self, counts: Array) -> Array:
        """The times (s) by which the integrated rate has reached the counts."""
        knots, rates, sums = self._knots
        whole = np.floor(counts / sums[-1]) if self.period < math.inf else np.zeros_like(counts)
        counts = np.clip(counts - whole * sums[-1], 0.0, sums[-1]) if self.period < math.inf else counts
        at = np.searchsorted(sums, counts, side="right") - 1
        more = counts - sums[at]
        root = np.sqrt(np.maximum(rates[at] ** 2 + 2.0 * self._slopes[at] * more, 0.0))
        speed = np.maximum(rates[at] + root, 1e-300)  # zero only where nothing more is wanted
        beyond = whole * self.period if self.period < math.inf else 0.0
        return np.asarray(knots[at] + 2.0 * more / speed + beyond)

    @functools.cached_property
    def _slopes(self) -> Array:
        knots, rates, _ = self._knots
        widths = np.diff(knots)
        return np.append(np.diff(rates) / np.where(widths > 0, widths, math.inf), 0.0)

    def start(self, lanes: int, rngs: Streams) -> FlowState:
        """Time 0, or the time of an arrival within the period drawn at random."""
        if not self.scattered:
            return (np.zeros(lanes),)
        return (self.inverse(rngs(7).random(lanes) * self._knots[2][-1]),)

    def draw(self, state: FlowState, rngs: Streams, customers: int) -> Drawn:
        """Services and gaps of the next customers (customers, lanes), and the time of the last arrival."""
        shape = (customers, len(state[0]))
        counts = rngs(1).standard_exponential(shape)
        np.cumsum(counts, axis=0, out=counts)
        counts += self.integrated(state[0])
        arrivals = np.maximum(self.inverse(counts), state[0])
        gaps = np.diff(arrivals, axis=0, prepend=state[0][None, :])
        return self.service._draw(shape, rngs(0)), gaps, (arrivals[-1].copy(),)


def sinusoid(
    arrival_rate: float, amplitude: float, period: float, service: Distribution, pieces: int = 2000
) -> TimeVarying:
    """Rate arrival_rate (1 + amplitude sin(2 pi t / period)), in linear pieces: 2,000 are off by 1.2e-6 at most."""
    times = np.arange(pieces) * (period / pieces)
    rates = arrival_rate * np.maximum(1.0 + amplitude * np.sin(2.0 * math.pi * np.arange(pieces) / pieces), 0.0)
    return TimeVarying(tuple(times.tolist()), tuple(rates.tolist()), period, service)


@dataclasses.dataclass(frozen=True)
class Modulated(FlowRecord):
    """Poisson arrivals at the rate of a hidden state that changes by chance (Markov-modulated Poisson, MMPP).

    In state i requests arrive at `rates[i]` (requests/s, 0 allowed). `switch` holds either the rate (1/s) of leaving
    each state for the next, in a cycle, or the rates from state i to j as a tuple of tuples (diagonal ignored).
    Counted in expected arrivals instead of seconds, arrivals are a Poisson process of rate 1 and a sojourn of L s in
    state i lasts rates[i] L: so standard exponentials are laid over a drawn sequence of sojourns. What is left of a
    sojourn at the last arrival is drawn anew in the next block, which its lack of memory allows. Runs go on
    until every state has come a hundred times (`cycle`).
    """

    rates: tuple[float, ...]
    switch: tuple[float, ...] | tuple[tuple[float, ...], ...]
    service: Distribution

    def __post_init__(self) -> None:
        states = len(self.rates)
        square = all(not isinstance(row, tuple) or len(row) == states for row in self.switch)
        self.require(
            len(self.switch) == states >= 2 and square, "rates and switch must name the same states, 2 or more"
        )
        self.require(all(0 <= rate < math.inf for rate in self.rates), "rates must lie in [0, inf) requests/s")
        legal = (np.isfinite(self._matrix) & (self._matrix >= 0)).all()
        self.require(bool(legal and (self._leaving > 0).all()), "each state must be left, at a rate in (0, inf) 1/s")
        self.require(self.arrival_rate > 0, "the mean rate must be over 0")

    @functools.cached_property
    def _matrix(self) -> Array:
        """The rates from state to state, zero on the diagonal."""
        given = np.array(self.switch, dtype=float)
        matrix = given if given.ndim == 2 else np.roll(np.diag(given), 1, axis=1)
        return np.asarray(np.where(np.eye(len(matrix)) > 0, 0.0, matrix))

    @functools.cached_property
    def _leaving(self) -> Array:
        return np.asarray(self._matrix.sum(axis=1))

    @functools.cached_property
    def shares(self) -> Array:
        """The share of time spent in each state: pi Q = 0, sum of pi = 1."""
        flow = self._matrix - np.diag(self._leaving)
        equations = np.vstack([flow.T, np.ones(len(flow))])
        return np.asarray(np.linalg.lstsq(equations, np.append(np.zeros(len(flow)), 1.0))[0])

    @property
    def arrival_rate(self) -> float:
        """The mean over the states (requests/s)."""
        return float(self.shares @ np.array(self.rates))

    @property
    def cycle(self) -> float:
        """Requests from one visit to the state that comes most seldom to the next: rate / min(pi_i q_i)."""
        return float(self.arrival_rate / (self.shares * self._leaving).min())

    def start(self, lanes: int, rngs: Streams) -> FlowState:
        """The state of an arrival's moment in the long run: i with probability pi_i rates_i / mean rate."""
        weights = self.shares * np.array(self.rates)
        return (_chosen(np.cumsum(weights / weights.sum()), rngs(7).random(lanes)),)

    def draw(self, state: FlowState, rngs: Streams, customers: int) -> Drawn:
        """Services and gaps of the next customers (customers, lanes), and the state at the last arrival."""
        shape = (customers, len(state[0]))
        counts = rngs(1).standard_exponential(shape)
        np.cumsum(counts, axis=0, out=counts)
        visited, lengths, sums = self._sojourns(state[0], counts[-1], rngs(6))
        at = _places(sums, counts)
        begins = np.cumsum(lengths, axis=0) - lengths
        before = np.concatenate([np.zeros((1, shape[1])), sums[:-1]])
        phase = np.take_along_axis(visited, at, axis=0)
        speed = np.array(self.rates)[phase]
        counts -= np.take_along_axis(before, at, axis=0)
        counts /= speed
        counts += np.take_along_axis(begins, at, axis=0)
        gaps = np.maximum(np.diff(counts, axis=0, prepend=0.0), 0.0)
        return self.service._draw(shape, rngs(0)), gaps, (phase[-1].copy(),)

    def _sojourns(self, first: Indices, wanted: Array, rng: np.random.Generator) -> tuple[Any, Array, Array]:
        """States visited, their lengths (s) and the cumulated expected arrivals (sojourns, lanes), past `wanted`."""
        rates, jumps = np.array(self.rates), np.cumsum(self._matrix / self._leaving[:, None], axis=1)
        each = float(self.shares @ self._leaving) / self.arrival_rate  # sojourns an arrival
        count = int(1.1 * each * float(wanted.max())) + 8
        states, lengths, sums = [first], np.empty((0, len(first))), np.zeros((1, len(first)))
        while (sums[-1] <= wanted).any():
            draws = rng.random((count, len(first)))
            for i in range(count):
                states.append(_chosen(jumps[states[-1]].T, draws[i]))
            visited = np.stack(states[:-1])
            more = rng.standard_exponential((count, len(first))) / self._leaving[visited[-count:]]
            lengths = np.concatenate([lengths, more])
            sums = np.cumsum(lengths * rates[visited], axis=0)
        return visited, lengths, sums


def _chosen(cumulated: Array, draws: Array) -> Indices:
    """Which state each uniform draw falls on; `cumulated` probabilities (states,) or (states, lanes)."""
    rows = cumulated[:-1, None] if cumulated.ndim == 1 else cumulated[:-1]
    return np.asarray((draws >= rows).sum(axis=0), dtype=np.intp)


def _places(sums: Array, counts: Array) -> Indices:
    """For each of the ascending `counts` of a lane, how many of its ascending `sums` are not above it."""
    customers, lanes = counts.shape
    low, high = np.zeros(sums.shape, dtype=np.intp), np.full(sums.shape, customers)
    while (low < high).any():  # how many counts are below each sum, by bisection in all lanes at once
        middle = (low + high) // 2
        below = np.take_along_axis(counts, np.minimum(middle, customers - 1), axis=0) < sums
        active = low < high
        low, high = np.where(active & below, middle + 1, low), np.where(active & ~below, middle, high)
    marks = low * lanes + np.arange(lanes)
    steps = np.bincount(marks.ravel(), minlength=(customers + 1) * lanes).reshape(-1, lanes)
    return np.cumsum(steps[:-1], axis=0)
