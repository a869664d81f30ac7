"""How long a redraw takes on the kernel's side: the median of moving one slider, for every explorer.

Prints milliseconds, and exits with an error where a median is over 50 ms. What is put off until the hand rests (the
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

import scaling_models as sm
from scaling_models import figures
from scaling_models.explorer import Panel, explore
from scaling_models.shards.placements import HashRing
from scaling_models.shards.popularities import Cached, Salted, Zipf

LIMIT = 0.050
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
    good = True
    for name, panel in panels:
        median = statistics.median(moved(panel))
        panel._quiet.later(lambda: None)
        explained = seconds(panel._explain)
        good &= median <= LIMIT
        print(f"{name:28s} {1e3 * median:6.1f} ms a redraw, {1e3 * explained:6.1f} ms to explain when it is quiet")
    return good


if __name__ == "__main__":
    sys.exit(0 if asyncio.run(measure()) else f"a redraw takes over {1e3 * LIMIT:.0f} ms")
