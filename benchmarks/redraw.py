"""How long a redraw takes on the kernel's side: the median of moving one slider, for every explorer.

Prints milliseconds, and exits with an error where a median is over 50 ms, or over 100 ms of several
unlike laws and large samples. What is put off until the hand rests (the
sensitivities) is shown beside it, and not judged.
"""

from __future__ import annotations

import asyncio
import functools
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import ipywidgets as widgets
import numpy as np

import scaling_models as sm
from scaling_models import figures
from scaling_models.explorer import Panel, explore
from scaling_models.shards.placements import HashRing
from scaling_models.shards.popularities import Cached, Salted, Zipf

LIMIT, HARD = 0.050, 0.100  # of unlike laws and large samples the latter
MOVES = 21


def first_slider(panel: Panel) -> Any:
    """The first slider of a panel."""
    kinds = (widgets.FloatSlider, widgets.IntSlider, widgets.FloatLogSlider)
    return next(each for each in panel.controls.values() if isinstance(each, kinds))


def seconds(act: Callable[[], Any]) -> float:
    """How long a call takes."""
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def moved(panel: Panel) -> list[float]:
    """The seconds of each of some moves of the first slider, each to a new value."""
    slider = first_slider(panel)
    step = slider.step if not isinstance(slider, widgets.IntSlider) else max(1, slider.step)
    times = []
    for move in range(MOVES):
        logarithmic = isinstance(slider, widgets.FloatLogSlider)
        by = -2 * step if move % 2 else step  # so that it stays within the slider's ends
        value = slider.value * 10.0**by if logarithmic else slider.value + by
        before = panel.model
        times.append(seconds(functools.partial(setattr, slider, "value", value)))
        assert panel.model != before, panel.message.value
    return times


def hard_laws() -> list[tuple[str, Any]]:
    """Models of several unlike laws, and of 50,000 measured times on every leg."""
    unlike = tuple(
        law for i in range(2) for law in (sm.LogNormal(0.004 + 0.001 * i, 0.5 + i), sm.Erlang(0.004, 2 + i) + 0.001 * i)
    )
    rng = np.random.default_rng(1)
    measured = [sm.Empirical((0.001 + rng.gamma(2.0, 0.002, 50_000)).tolist()) for _ in range(6)]
    links = [
        sm.quorums.Link(law, sm.Exponential(0.001 * (2 + i)), sm.LogNormal(0.002 + 0.001 * i, 0.5))
        for i, law in enumerate(unlike)
    ]
    sums = (sm.LogNormal(0.005, 1.0), sm.Erlang(0.004, 2))
    return [
        ("unlike laws", sm.quorums.ReadLatency("ReadIndex", unlike, sm.Exponential(0.002), answering=sums[0])),
        ("unlike laws", sm.quorums.RaftStream(tuple(links), sm.LogNormal(0.002, 1.0), interval=1.0, client_legs=sums)),
        ("unlike laws", sm.quorums.EPaxos(unlike, sm.LogNormal(0.002, 1.0), client_legs=sums)),
        ("samples", sm.quorums.Raft(tuple(measured[:4]), measured[4], client_legs=tuple(measured[5:]))),
        ("samples", sm.quorums.FlexiblePaxos(tuple(measured[:4]), measured[4], client_legs=tuple(measured[5:]))),
    ]


async def measure() -> bool:
    """Inside an event loop, as in a notebook: so what is slow waits for quiet, which never comes here."""
    panels = [(f"{model.__name__}, survival", explore(model)) for model in sm.MODELS]
    panels.append(("CentralQueue, sweep", explore(sm.pools.CentralQueue, figures.sweep, parameter="arrival_rate")))
    panels.append(("CentralQueue, load", explore(sm.pools.CentralQueue, figures.load)))
    panels.append(("PoolPlan, sizing", explore(sm.PoolPlan, figures.sizing)))
    shards = {"parameter": "shards", "answer": "effective_shards", "values": [2**power for power in range(9)]}
    panels.append(("ShardLoad, sweep", explore(sm.shards.ShardLoad, figures.sweep, **shards)))
    cached = Salted(Cached(Zipf(1_000_000, 0.99), top_keys=0), hot_keys=10, pieces=1)
    hot = sm.shards.ShardLoad(64, cached, HashRing(virtual_nodes=128))
    panels.append(("ShardLoad, hot shards", explore(hot, figures.hot_shards, arrival_rate=13_500)))
    usual = len(panels)
    panels += [(f"{type(model).__name__}, {what}", explore(model)) for what, model in hard_laws()]
    good = True
    for place, (name, panel) in enumerate(panels):
        median = statistics.median(moved(panel))
        panel._quiet.later(lambda: None)
        explained = seconds(panel._explain)
        good &= median <= (LIMIT if place < usual else HARD)
        print(f"{name:28s} {1e3 * median:6.1f} ms a redraw, {1e3 * explained:6.1f} ms to explain when it is quiet")
    return good


if __name__ == "__main__":
    sys.exit(
        0
        if asyncio.run(measure())
        else f"a redraw takes over {1e3 * LIMIT:.0f} ms, or a hard one over {1e3 * HARD:.0f}"
    )
