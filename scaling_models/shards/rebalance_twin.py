"""The simulated twin of a rebalance: what each answer is in placements, rounds and requests that are played."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from scaling_models.latency import Deterministic, Exponential
from scaling_models.montecarlo.arrays import Array
from scaling_models.montecarlo.estimates import Estimate, NotSettled, SimulatedLatency, from_batches
from scaling_models.montecarlo.kernels import rebalancing
from scaling_models.montecarlo.streams import stream
from scaling_models.shards.foreground import FIRST
from scaling_models.shards.rebalance_parameters import APPENDED

if TYPE_CHECKING:
    from scaling_models.shards.rebalance import Rebalance

WITH_DATA, PACED = "writes follow the data", "chunks at a steady pace"
LANES, REQUESTS_A_LANE = (40, 800), 250
MOST_KEYS, ALL_KEYS = 200_000, 8_000_000  # of a placement, and of all together
RECORDS = 10_000  # that are left at the cut-over
CHANGES = 2000  # of pages in a round, where writes overwrite
HORIZON = 30.0  # copies without writes
QUEUES = 64  # disks side by side
MOST_STEPS = 12_000_000  # requests and chunks
FORGOTTEN = 10.0  # times the scale on which a queue forgets


def simulated(model: Rebalance, requests: int, seed: int, broken: str | None) -> dict[str, object]:
    """The answers by Monte Carlo; raises `NotSettled` where there is no end, or no steady state."""
    keys = min(model.keys, MOST_KEYS)
    lanes = min(max(requests // REQUESTS_A_LANE, LANES[0]), LANES[1], max(ALL_KEYS // keys, LANES[0]))
    nodes = (model.nodes_before, model.nodes_after)
    moves = rebalancing.moves(model.placement.owners, keys, nodes, lanes, seed)
    b_in, b_out = model.ports
    data = moves.moved * model.data
    took = np.max([moves.sent / b_out, moves.received / b_in, moves.moved / model.fabric], axis=0) * model.data
    shares = np.maximum(moves.sent, moves.received) * model.data / np.maximum(took, 1e-300) / model.disk
    share = float(shares.mean())
    return {
        "moved_share": _law(moves.moved),
        "bytes_moved": _law(data),
        "keys_moved": _law(moves.moved * model.keys),
        "copy_time": _law(took),
        "disk_share": from_batches(shares),
        **_chased(model, data, took, seed, broken == WITH_DATA),
        **_served(model, share, requests, seed, broken == PACED),
    }


def _law(values: Array) -> SimulatedLatency:
    return SimulatedLatency(values[:, None])


def _chased(model: Rebalance, data: Array, took: Array, seed: int, with_data: bool) -> dict[str, object]:
    if not data.any():
        return {"duration": _law(took), "rounds": from_batches(0.0 * took), "cutover_pause": from_batches(0.0 * took)}
    rate = data / np.maximum(took, 1e-300)
    mean = float(data.mean())
    writes = model.write_rate * (data / mean if with_data else np.ones(len(data)))
    stop, overall = model.pause * rate, mean / float(took.mean())
    rng = stream(seed, len(data), 0)
    if not with_data and model.write_rate >= overall * (1.0 if model.writes == APPENDED else 0.999):
        raise NotSettled("writes are as fast as the copy: there is no end to simulate")
    if model.writes == APPENDED or with_data:
        horizon = HORIZON * took if with_data else np.full(len(data), math.inf)
        if not with_data and (writes >= rate).any():
            raise NotSettled("with some placements writes are as fast as the copy: there is no end to simulate")
        found = rebalancing.append_rounds(data, rate, writes, stop, float(stop.mean()) / RECORDS, horizon, rng)
    else:
        found = rebalancing.overwrite_rounds(data, rate, writes, stop, CHANGES, rng)
    return {
        "copy_rate": _ratio(data, took),
        "duration": _law(found.duration),
        "rounds": from_batches(found.rounds),
        "cutover_pause": from_batches(found.left / rate),
    }


def _ratio(data: Array, took: Array) -> Estimate:
    """Mean over mean, with the spread of what is left of it."""
    rate = float(data.mean() / took.mean())
    return Estimate(rate, from_batches(data - rate * took).error / float(took.mean()), len(data) - 1)


def _served(model: Rebalance, share: float, requests: int, seed: int, paced: bool) -> dict[str, object]:
    first, load = model.order == FIRST, model.arrival_rate * model.service.mean()
    idle = 1.0 - load - (0.0 if first else share)
    if idle <= 1e-9:
        raise NotSettled("requests and chunks together are more than the disk can serve: there is no steady state")
    gap = Exponential(1.0 / model.arrival_rate)
    each = model.chunk / share if share > 0 else math.inf
    if share <= 0.0:
        pause: Deterministic | Exponential = Exponential(1e12 / model.arrival_rate)
    elif first and share >= idle * (1.0 - 1e-9):
        pause = Deterministic(0.0)
    else:
        pause = Deterministic(each) if paced else Exponential(each)
    scale = model.service.mean() + model.service.variance() / model.service.mean() + (model.chunk if share > 0 else 0.0)
    chunks = share / (model.chunk * model.arrival_rate)  # a request
    lead = math.ceil(FORGOTTEN * scale / idle**2 * model.arrival_rate)
    wanted = min(requests, int(MOST_STEPS / (1.0 + chunks)))
    steps = math.ceil(wanted / QUEUES) + lead
    if QUEUES * steps * (1.0 + chunks) > 5.0 * MOST_STEPS:
        raise NotSettled("the disk is so busy that its queue forgets too slowly to be simulated")
    play = rebalancing.latencies_first if first else rebalancing.latencies_in_order
    taken = math.ceil(steps * (1.0 + chunks)) if first else steps
    latencies = play(gap, model.service, pause, model.chunk, QUEUES, taken, seed)[:, lead:]
    waits = from_batches(latencies.mean(axis=1) - model.service.mean())
    return {"foreground_latency": SimulatedLatency(latencies), "foreground_wait": waits}
