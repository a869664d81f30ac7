"""How many servers, surviving the loss of a zone? Servers and utilization against traffic."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from scaling_models import sweeps, units
from scaling_models.figures import style
from scaling_models.pools import CentralQueue
from scaling_models.pools.formulas.sizing import zoned
from scaling_models.sizing import PoolPlan, servers_for
from scaling_models.sizing.search import at_once

Array = NDArray[np.float64]
Line = tuple[list[float], list[float | None], list[float | None]]
TRAFFIC = (10.0, 100_000.0)  # requests/s
DENSE, COARSE = 961, 48  # rates that are tried, and about how many are drawn where nothing happens
DRAWN_STEPS = 12  # servers up to which each step is drawn; beyond, where it is fullest
NAMES = ("no zone lost", "one zone may be lost")
DECADES = {"type": "log", "dtick": 1, "tickformat": ",~r"}
LEFT, RIGHT = (0.0, 0.44), (0.56, 1.0)  # of the width: servers, utilization


def sizing(plan: PoolPlan) -> go.Figure:
    """The plan's servers against traffic, and how busy they are on the mean, with and without the loss of a zone.

    Traces, on the left servers and on the right utilization: the lines without and with the zone (where the service has
    a vector path), then a mark for each where the plan stands now.
    """
    looks = [
        (plan.replace(zones=1), NAMES[0], style.BLUE, "solid"),
        (plan, NAMES[1], style.RED, "dash"),
    ]
    curves = [_curve(_anywhere(each)) for each, *_ in looks]
    traces = [
        *(style.line(c[0], c[1], *look) for c, (_, *look) in zip(curves, looks, strict=True)),
        *(
            style.line(c[0], c[2], *look, xaxis="x2", yaxis="y2", showlegend=False)
            for c, (_, *look) in zip(curves, looks, strict=True)
        ),
        *(mark for each, name, colour, _ in looks for mark in _marks(each, name, colour)),
    ]
    across, ends = "arrival rate (requests/s)", [math.log10(end) for end in _ends(plan.arrival_rate)]
    axes: dict[str, Any] = {
        "xaxis": {**DECADES, "range": ends, "domain": LEFT},
        "xaxis2": {**DECADES, "range": ends, "domain": RIGHT, "title_text": across, "anchor": "y2"},
        "yaxis": DECADES,
        "yaxis2": {"anchor": "x2", "title_text": "utilization (%)", "range": [0, 103]},
    }
    return style.figure(traces, f"{units.title_of(plan)}: {_says(plan)}", across, "servers", **axes)


def _ends(rate: float) -> tuple[float, float]:
    return min(TRAFFIC[0], rate / 3.0), max(TRAFFIC[1], rate * 3.0)


def _anywhere(plan: PoolPlan) -> PoolPlan:
    """The plan at an ordinary rate: a curve over all rates does not depend on the rate of now."""
    inside = TRAFFIC[0] <= plan.arrival_rate <= TRAFFIC[1]
    return plan.replace(arrival_rate=1000.0) if inside else plan


def _curve(plan: PoolPlan) -> Line:
    rates, least = _least(plan.replace(zones=1, failures=0))
    servers = zoned(least + plan.failures, plan.zones)
    busy = rates * plan.service.mean() / (servers * plan.workers)
    return rates.tolist(), _drawn(servers), _drawn(np.where(np.isfinite(servers), 100.0 * busy, np.nan))


@functools.lru_cache(maxsize=64)
def _least(plan: PoolPlan) -> tuple[Array, Array]:
    """Rates, and the servers needed there: both sides of each of the first steps, later the last before a step.

    None where each had to be searched for by itself, which may take seconds.
    """
    dense = np.geomspace(*_ends(plan.arrival_rate), DENSE)
    least = at_once(CentralQueue(1.0, 1, plan.service, plan.workers), plan.goal, dense * plan.peak)
    if least is None:
        return np.array([]), np.array([])
    before = np.flatnonzero(least[1:] > least[:-1])  # the last rate for so many servers
    small = before[least[before] <= DRAWN_STEPS]
    large = before[least[before] > DRAWN_STEPS]
    between = np.arange(0, small[-1] if small.size else DENSE, DENSE // COARSE)
    kept = np.unique([*between, *small, *(small + 1), *large[:: max(1, large.size // COARSE)], DENSE - 1])
    return dense[kept], least[kept]


def _drawn(values: Any) -> list[float | None]:
    return [float(value) if math.isfinite(value) else None for value in values]


def _servers(plan: PoolPlan) -> float:
    found = sweeps.closed(plan, "servers")
    return math.nan if found is None else float(found)


def _marks(plan: PoolPlan, name: str, colour: str) -> list[go.Scatter]:
    servers, above = _servers(plan), name == NAMES[1]
    there = math.isfinite(servers)
    busy = plan.utilization if there else math.nan
    x = [plan.arrival_rate] if there else []

    def mark(value: float, text: str, high: bool, **axes: str) -> go.Scatter:
        place = "top left" if high else "bottom right"
        return style.labels(x, [value] * len(x), [text] * len(x), f"now, {name}", colour, textposition=place, **axes)

    return [
        mark(servers, units.human(servers, "servers"), above),
        mark(100.0 * busy, units.human(busy, ""), not above, xaxis="x2", yaxis="y2"),
    ]


def _says(plan: PoolPlan) -> str:
    servers = _servers(plan)
    if math.isnan(servers):
        return "no closed form for these parameters"
    if math.isinf(servers):
        return servers_for(plan.pool, latency=plan.target, level=plan.level).says
    held = f"hold p{100.0 * plan.level:.10g} at {units.human(float(plan.latency.icdf(plan.level)), 's')}"
    peak = f" at the peak of {units.human(plan.pool.arrival_rate, 'requests/s')}" if plan.peak > 1 else ""
    lost = f", of which {plan.needed:,} are left after the loss of {plan.reserve.loss}," if plan.reserve.loss else ""
    return f"{units.human(servers, 'servers')}{lost} {held}{peak}"
