"""Many FIFO servers with one service at different loads: the tails of M/G/1 as a smooth function of the load."""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import numpy as np

from scaling_models.latency import Distribution, Exponential
from scaling_models.latency.lattices import Survival
from scaling_models.latency.quadrature import Array
from scaling_models.pools.formulas.solution import FLATTEST, single_server

SPACING = 0.2  # of the loads that are solved, on the scale of `_scale`: those of one slider are those of its next move
POINTS = 8  # of them that a load between them is told from
SOFTENED = 0.05  # below this load the scale is one of the load itself, from there one of its logarithm
LEAST_LOAD, MOST_LOAD = 1e-3, 0.9999
RATIO = 0.004  # of the times at which the tails are kept, in logs
BREAKS = 8  # times finer where the service has atoms, at which the tails break
SOON, DEEPEST = 1e-3, 1e-16  # the first time, in mean services; and how rare the last is at the busiest server
RAREST = 1e-13  # from there on the tail goes on as it fell
SPARSE = 8  # times between those at which the error is measured
STRAIGHT = 3e-5  # of a quantile: what lines between the times take from it, measured at most


class Unequal(NamedTuple):
    """Servers of one kind each: the share of all waits that is theirs, the load, and the speed."""

    shares: tuple[float, ...]
    loads: tuple[float, ...]
    speeds: tuple[float, ...]


@functools.lru_cache(maxsize=16)
def queued_at_any(service: Distribution, servers: Unequal, served: bool) -> Survival:
    """Of the requests that wait at one of several M/G/1 servers: the wait, or with `served` that and the service.

    P(T > t) = sum_i share_i S(speed_i t; load_i), where S at a load is that of `single_server`. Its logarithm is told
    from those at eight loads of a fixed grid around it by Lagrange's polynomial, at times of a fixed ratio, where a
    speed only shifts it. The error is what two loads fewer change, and that of the loads solved.
    """
    unit = service.mean()
    grid = _Loads.around(np.array(servers.loads))
    solved = [single_server(Exponential(unit / load), service) for load in grid.nodes]
    tails = [each.latency if served else each.wait for each in solved]
    speeds = np.array(servers.speeds)
    end = float(tails[-1].inverse(np.log(np.array(DEEPEST))))
    # Times at which a kink of the service lies are among them.
    ratio = RATIO / BREAKS if service.atoms else RATIO
    anchor = next((kink for kink in service.kinks if kink > 0), unit)
    first, last = (math.floor(math.log(time / anchor) / ratio) for time in (SOON * unit, end))
    table = np.array([tail(anchor * np.exp(ratio * np.arange(first, last + 2.0))) for tail in tails])
    shifts = np.log(speeds) / ratio
    places = np.arange(first - math.ceil(shifts.max()), last - math.floor(shifts.min()) + 1.0)
    best, rough = _mixed(table, grid, shifts, places - first, np.array(servers.shares))
    return _survival(anchor * np.exp(ratio * places), best, rough, tails, service.tail_index - 1.0)


def _scale(load: Array) -> Array:
    """Even steps of it are small steps of the load near 0 and near 1."""
    return np.asarray(np.log((load + SOFTENED) / (1.0 - load)))


class _Loads(NamedTuple):
    """The loads that are solved, and what each of the servers takes of them: by all points, and by two fewer."""

    nodes: tuple[float, ...]
    weights: Array
    fewer: Array

    @classmethod
    def around(cls, loads: Array) -> _Loads:
        """Of the fixed grid, those that these loads need."""
        ends = _scale(np.array([LEAST_LOAD, MOST_LOAD])) / SPACING
        at = _scale(loads) / SPACING
        first = np.clip(np.floor(at) - POINTS / 2 + 1, math.ceil(ends[0]), math.floor(ends[1]) - POINTS + 1)
        start = int(first.min())
        size = int(first.max()) - start + POINTS
        x = np.exp(SPACING * (start + np.arange(float(size))))
        nodes = tuple(((x - SOFTENED) / (1.0 + x)).tolist())
        columns = (first - start).astype(np.intp)
        return cls(nodes, *(_lagrange(at - first, columns, size, drop) for drop in (0, 1)))


def _lagrange(at: Array, columns: np.ndarray[tuple[int], np.dtype[np.intp]], size: int, drop: int) -> Array:
    """Weights (servers, nodes) of the polynomial through the points 0 to POINTS - 1, less `drop` at either end."""
    weights = np.zeros((len(at), size))
    rows = np.arange(len(at))
    points = range(drop, POINTS - drop)
    for point in points:
        others = [other for other in points if other != point]
        weights[rows, columns + point] = np.prod([(at - other) / (point - other) for other in others], axis=0)
    return weights


def _mixed(table: Array, grid: _Loads, shifts: Array, places: Array, shares: Array) -> tuple[Array, Array]:
    """The log of the mixture at all places, and at every SPARSE-th from fewer loads."""
    sums = (np.zeros(len(places)), np.zeros(len(places[::SPARSE])))
    low = np.floor(places[0] + shifts).astype(np.intp)
    parts = places[0] + shifts - low
    before, after = max(0, -int(low.min())), max(0, int(low.max()) + len(places) + 1 - table.shape[1])
    wide = np.pad(table, ((0, 0), (before, after)), mode="edge")
    for place, part, share, *each in zip(low + before, parts, shares, grid.weights, grid.fewer, strict=True):
        first = int(np.flatnonzero(each[0])[0])
        near = wide[first : first + POINTS, place : place + len(places) + 1]
        for total, weights, every in zip(sums, each, (1, SPARSE), strict=True):
            some = weights[first : first + POINTS]
            logs = (1.0 - part) * (some @ near[:, :-1:every])
            logs += part * (some @ near[:, 1::every])
            total += share * np.exp(logs, out=logs)
    with np.errstate(divide="ignore"):
        return np.log(sums[0]), np.log(sums[1])


def _survival(times: Array, best: Array, rough: Array, tails: list[Survival], index: float) -> Survival:
    known = max(tail.known_to for tail in tails)
    heavy = any(tail.far is not None for tail in tails)
    seen = max(int(np.searchsorted(-best, -math.log(max(known, RAREST)))), 2)
    deep = max(int(np.searchsorted(-best, -math.log(RAREST))), seen + 2)
    falls = np.maximum(-np.gradient(best, np.log(times)), FLATTEST)
    missed = (np.abs(best[::SPARSE] - rough) / falls[::SPARSE])[: seen // SPARSE + 1]
    error = float(missed.max()) + max(tail.error for tail in tails) + STRAIGHT
    t, logs = np.append(0.0, times[:seen]), np.append(0.0, best[:seen])
    if heavy:
        far = (np.log(times[seen - 1 : deep]), best[seen - 1 : deep])
        return Survival(t, logs, far=far, index=index, error=error)
    decay = float((logs[-2] - logs[-1]) / (t[-1] - t[-2]))
    return Survival(t, logs, decay=decay, error=error)
