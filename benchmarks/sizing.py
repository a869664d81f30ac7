"""The least servers for 2,000 loads at once, beside the same search load by load and server by server.

Prints milliseconds of CPU time, the shortest of a few runs, and exits with an error where all at once takes over 50.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from scaling_models.pools import CentralQueue, RandomSplit
from scaling_models.pools.formulas.sizing import central_load, central_servers, split_servers
from scaling_models.sizing import servers_for

LIMIT = 0.050
LOADS = np.linspace(1.0, 2000.0, 2000)  # erlangs
SOME = 50  # loads of the slow ways, spread over the same range
MEAN, LATENCY, LEVEL = 0.010, 0.050, 0.99


def seconds(act: Callable[[], Any], repeats: int = 5) -> float:
    """The shortest CPU time of a few calls."""
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        act()
        taken.append(time.process_time() - start)
    return min(taken)


def by_loop(load: float) -> int:
    """One server more until the latency's percentile is low enough, on models."""
    servers = int(load) + 1
    while CentralQueue(load / MEAN, servers).latency.ccdf(LATENCY) > 1.0 - LEVEL:
        servers += 1
    return servers


def main() -> bool:
    """Measure, and check that all ways agree."""
    rates, some = LOADS / MEAN, np.linspace(0, len(LOADS) - 1, SOME).astype(int)
    at_once = {
        "central queue": lambda: central_servers(rates, MEAN, LATENCY, LEVEL),
        "random split": lambda: split_servers(rates, MEAN, LATENCY, LEVEL),
        "random split, 8 workers": lambda: split_servers(rates, MEAN, LATENCY, LEVEL, 8),
        "central queue, most load": lambda: central_load(LOADS, MEAN, LATENCY, LEVEL),
    }
    good = True
    for name, act in at_once.items():
        taken = seconds(act)
        good &= taken <= LIMIT
        print(f"{name:28s} {1e3 * taken:7.1f} ms for {len(LOADS):,} loads at once")
    found = central_servers(rates[some], MEAN, LATENCY, LEVEL)
    slow = {
        "servers_for, load by load": lambda: [
            servers_for(CentralQueue(rate), p99=LATENCY).servers for rate in rates[some]
        ],
        "a plain loop over servers": lambda: [by_loop(load) for load in LOADS[some]],
        "servers_for a random split": lambda: [
            servers_for(RandomSplit(rate), p99=LATENCY).servers for rate in rates[some]
        ],
    }
    for name, act in slow.items():
        taken = seconds(act, 1) * len(LOADS) / SOME
        print(f"{name:28s} {1e3 * taken:7.0f} ms for as many, from {SOME}")
    assert slow["a plain loop over servers"]() == found.tolist() == slow["servers_for, load by load"]()
    return good


if __name__ == "__main__":
    sys.exit(0 if main() else f"sizing 2,000 loads takes over {1e3 * LIMIT:.0f} ms")
