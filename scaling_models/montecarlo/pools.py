"""Simulated pools: blocks of drawn arrivals and services fed to the queueing kernels."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scaling_models.latency import Distribution, Exponential
from scaling_models.montecarlo import settling
from scaling_models.montecarlo.estimates import Estimate, NotSettled, SimulatedLatency, from_batches, proportion
from scaling_models.montecarlo.progress import progress
from scaling_models.montecarlo.queues import central_waits, fifo_waits
from scaling_models.montecarlo.streams import stream

Array = NDArray[np.float64]
BATCHES = 64
SHARING = 8  # lanes that share a stream of random numbers
KEPT = 2**22  # samples kept of each latency: beyond, every k-th customer is (neighbours tell nearly the same)
STATE = 2**17  # free times advanced together (slots x lanes, 1 MB): what fits the second-level cache
MOST_SLOTS = 5_000  # every arrival passes over all free times: beyond, a warm-up takes minutes
PILOT, MAIN = 0, 1


@dataclasses.dataclass(frozen=True)
class PoolRun:
    """What a simulated pool answers."""

    wait: SimulatedLatency
    latency: SimulatedLatency
    utilization: Estimate
    probability_of_wait: Estimate


@dataclasses.dataclass(frozen=True)
class Traffic:
    """Independent arrivals and services: gaps and services of a given mean (s), drawn block by block from a seed."""

    gap: Distribution
    service: Distribution
    seed: int

    def draw(self, key: tuple[int, ...], shape: tuple[int, ...]) -> tuple[Array, Array]:
        """Services and gaps of one block, from its own two streams."""
        services = self.service._draw(shape, stream(self.seed, 0, *key))
        return services, self.gap._draw(shape, stream(self.seed, 1, *key))


def traffic(arrival_rate: float, service: Distribution, seed: int, gaps: Distribution | None = None) -> Traffic:
    """Poisson arrivals unless `gaps` gives the shape of another renewal stream (scaled to the arrival rate)."""
    gap = Exponential(1.0 / arrival_rate) if gaps is None else gaps * (1.0 / arrival_rate / gaps.mean())
    return Traffic(gap, service, seed)


def _backlog(load: float, slots: int, flow: Traffic) -> float:
    """Seven heavy-traffic mean waits, and the service's 99.9% quantile: where an overfull start begins."""
    scvs = min(flow.gap.scv, 20.0) + min(flow.service.scv, 20.0)
    return 7.0 * flow.service.mean() * scvs / 2.0 / (slots * (1.0 - load)) + float(flow.service.iccdf(1e-3))


def _refuse_overload(load: float) -> None:
    if load >= 1.0:
        raise NotSettled(f"the load is {load:.4g}, at or over capacity: there is no steady state to simulate")


def simulate_central(flow: Traffic, slots: int, load: float, requests: int, chunk: int | None = None) -> PoolRun:
    """One queue before `slots` slots: independent lanes by Kiefer and Wolfowitz, half from empty, half from overfull.

    `chunk` lanes are advanced together (it changes memory and speed, not the answer). The warm-up is measured, and
    comes on top of the requests; lanes are independent, so that few requests only widen the intervals.
    """
    _refuse_overload(load)
    if slots > MOST_SLOTS:
        raise ValueError(
            f"a pool of {slots:,} slots is too large to simulate: servers x workers must lie in [1, {MOST_SLOTS:,}] "
            "(the closed form has no such limit)"
        )
    start = settling.measure(lambda block, shape: flow.draw((PILOT, block), shape), slots, _backlog(load, slots, flow))
    lanes = _lanes(requests, start.customers, slots)
    length = -(-requests // lanes)
    groups = range(lanes // SHARING)  # lanes of a group share a stream: however groups are chunked, they draw the same
    together = max(1, (chunk or STATE // slots) // SHARING)
    thin = max(1, -(-length * lanes // KEPT))
    runs = [
        _lanes_together(flow, slots, length, thin, start, groups[first : first + together])
        for first in range(0, len(groups), together)
    ]
    waits, latencies, busy, some = (np.concatenate(column) for column in zip(*runs, strict=True))
    order = np.argsort(np.arange(lanes) // SHARING % 2, kind="stable")  # starts alternate: empty before overfull
    run = PoolRun(
        SimulatedLatency(_batched(waits[order])),
        SimulatedLatency(_batched(latencies[order])),
        from_batches(busy),
        proportion(some, length * lanes),
    )
    settling.check(run.latency, run.wait, start)
    return run


def _lanes(requests: int, warm_up: int, slots: int) -> int:
    """As many lanes as keep the warm-up a fifth of the work, in steps of 128, so that batches are equal."""
    most = max(1, min(8, 20_000_000 // slots // 128))
    return 128 * int(np.clip(requests // (4 * warm_up * 128), 1, most))


def _lanes_together(
    flow: Traffic, slots: int, length: int, thin: int, start: settling.Start, groups: range
) -> tuple[Array, Array, Array, Array]:
    lanes = SHARING * len(groups)
    full = np.repeat([group % 2 == 1 for group in groups], SHARING)
    free = settling.overfull(slots, lanes, start.backlog) * full
    waits, latencies = [], []
    busy, time, some = np.zeros(lanes), np.zeros(lanes), np.zeros(lanes)
    block = 256
    for i in progress(range(-(-start.customers // block) + -(-length // block)), "central queue"):
        drawn = [flow.draw((MAIN, i, group), (block, SHARING)) for group in groups]
        services, gaps = (np.hstack(column) for column in zip(*drawn, strict=True))
        wait, free = central_waits(services, gaps, free)
        if i * block < start.customers:
            continue
        waits.append(wait[::thin].T)
        latencies.append((wait + services)[::thin].T)
        busy += services.sum(axis=0)
        time += gaps.sum(axis=0)
        some += (wait > 0).mean(axis=0)
    return np.hstack(waits), np.hstack(latencies), busy / time / slots, some / len(waits)


def _batched(rows: Array) -> Array:
    """Rows of independent lanes, joined to BATCHES batches; each half of them keeps to one kind of start."""
    return rows.reshape(BATCHES, -1)


def simulate_random_split(flow: Traffic, servers: int, load: float, requests: int) -> PoolRun:
    """Every request to a server drawn at random, each server a FIFO queue: one long run, batches of time.

    The whole stream is drawn and dealt, so that nothing is assumed of what each server sees.
    """
    _refuse_overload(load)
    dealt = traffic(1.0 / (flow.gap.mean() * servers), flow.service, flow.seed)
    start = settling.measure(lambda block, shape: dealt.draw((PILOT, block), shape), 1, _backlog(load, 1, flow))
    least = 20 * start.customers * servers
    if requests < least:
        raise NotSettled(
            f"{requests} requests are too few: each of the {servers} servers remembers its start for "
            f"{start.customers} customers, so ask for at least {least}"
        )
    batches = int(np.clip(requests // (start.customers * servers), 20, BATCHES))
    return _long_run(flow, servers, start, requests, batches)


def _long_run(flow: Traffic, servers: int, start: settling.Start, requests: int, batches: int) -> PoolRun:
    per_batch = -(-requests // batches)
    blocks = max(1, per_batch // max(65_536, 200 * servers))
    block = -(-per_batch // blocks)
    warm = -(-start.customers * servers // block)
    thin = max(1, -(-requests // KEPT))
    first, behind = np.zeros(servers), np.zeros(servers)
    rows: list[tuple[Array, Array]] = []
    busy, time, some = np.zeros(batches), np.zeros(batches), np.zeros(batches)
    for i in progress(range(warm + batches * blocks), "random split"):
        services, gaps = flow.draw((MAIN, i), (block,))
        chosen = stream(flow.seed, 2, MAIN, i).integers(
            0, servers, block, dtype=np.int16 if servers < 2**15 else np.int64
        )
        waits, served, first, behind = _dealt(services, gaps, chosen, first, behind)
        if i < warm:
            continue
        at = (i - warm) // blocks
        rows.append((waits[::thin], (waits + served)[::thin]))
        busy[at] += services.sum()
        time[at] += gaps.sum()
        some[at] += (waits > 0).mean() / blocks
    wait, latency = (np.concatenate(column).reshape(batches, -1) for column in zip(*rows, strict=True))
    run = PoolRun(
        SimulatedLatency(wait),
        SimulatedLatency(latency),
        from_batches(busy / time / servers),
        proportion(some, requests),
    )
    settling.check(run.latency, run.wait, start)
    return run


def _dealt(
    services: Array, gaps: Array, chosen: NDArray[Any], first: Array, behind: Array
) -> tuple[Array, Array, Array, Array]:
    """Waits of one block, server by server. `first[j]` is the work left at server j at its last arrival, that one's
    service included, and `behind[j]` the time from then to the start of the block."""
    arrivals = np.cumsum(gaps)
    order = np.argsort(chosen, kind="stable")
    ends = np.cumsum(np.bincount(chosen, minlength=len(first)))
    waits, served, left, since = np.zeros_like(services), services[order], first.copy(), behind + arrivals[-1]
    when = arrivals[order]
    for server, (low, high) in enumerate(zip(np.r_[0, ends[:-1]], ends, strict=True)):
        if low == high:
            continue
        at, work = when[low:high], served[low:high]
        begin = max(0.0, float(first[server]) - float(behind[server]) - float(at[0]))
        between = np.append(np.diff(at), 0.0)
        waits[low:high], after = fifo_waits(work, between, begin)
        left[server], since[server] = after, arrivals[-1] - at[-1]
    return waits, served, left, since


def replay_central(arrivals: Array, services: Array, slots: int) -> Array:
    """Waits of a measured trace (arrival times, services; seconds) in one queue before `slots` slots, from empty."""
    gaps = np.diff(arrivals, prepend=arrivals[:1])
    waits, _ = central_waits(services[:, None], gaps[:, None], np.zeros((slots, 1)))
    return waits[:, 0]
