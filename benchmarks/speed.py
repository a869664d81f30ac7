"""How fast the Monte Carlo core and the closed forms are, beside the time that numpy takes for the same draws.

Run it with `make bench`. Each line names its floor, taken in the same run; the ratio is what the documentation quotes.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

import scaling_models as sm
from scaling_models.montecarlo.kernels.queues import central_waits, fifo_waits

REPEATS = 5


def best(work: Callable[[], object]) -> float:
    """The shortest of a few runs in seconds: what disturbs a run only lengthens it."""
    times = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return min(times)


def draws(customers: int, block: int) -> float:
    """Time to draw two exponentials a customer, in blocks."""
    rng = np.random.default_rng(1)

    def run() -> None:
        for _ in range(2 * customers // block):
            rng.standard_exponential(block)

    return best(run)


def one_server(customers: int, block: int = 16_384) -> float:
    """M/M/1 at load 0.9: draws included, the mean wait taken."""
    rng = np.random.default_rng(1)

    def run() -> float:
        wait, total = 0.0, 0.0
        for _ in range(customers // block):
            services = rng.standard_exponential(block)
            gaps = rng.standard_exponential(block)
            gaps /= 0.9
            waits, wait = fifo_waits(services, gaps, wait)
            total += waits.sum()
        return total / customers

    return best(run)


def ten_servers(customers: int, lanes: int = 1024, length: int = 64) -> float:
    """M/M/10 at load 0.9 over lanes: draws included, the mean wait taken."""
    rng = np.random.default_rng(1)

    def run() -> float:
        free, total = np.zeros((10, lanes)), 0.0
        for _ in range(customers // (lanes * length)):
            services = rng.standard_exponential((length, lanes))
            gaps = rng.standard_exponential((length, lanes))
            gaps /= 9.0
            waits, free = central_waits(services, gaps, free)
            total += waits.sum()
        return total / customers

    return best(run)


def main() -> None:
    """Print every figure."""
    customers = 2**22
    floor = draws(customers, 16_384)
    print(f"numpy draws two exponentials in {1e9 * floor / customers:.1f} ns a customer (the floor)")
    for name, seconds in (("M/M/1", one_server(customers)), ("M/M/10", ten_servers(customers))):
        print(f"{name}: {1e9 * seconds / customers:.1f} ns a customer, {seconds / floor:.1f} times the floor")
    total = best(lambda: (sm.LogNormal(0.01, 4.0) + sm.LogNormal(0.01, 1.0)).icdf([0.5, 0.9, 0.95, 0.99, 0.999]))
    print(f"a sum of two lognormals and five quantiles of it: {1e3 * total:.1f} ms")
    exponents = iter(np.linspace(0.9, 1.1, 100))
    hot = best(lambda: sm.ShardLoad(256, sm.Zipf(10**6, next(exponents))).hottest_share.icdf(0.95))
    print(f"the hottest of 256 shards with 1,000,000 keys: {1e3 * hot:.1f} ms")
    loads = np.linspace(1.0, 999.0, 1000)
    erlang = best(lambda: sm.pools.erlang_c(1000, loads))
    print(f"Erlang C at 1,000 loads: {1e6 * erlang / len(loads):.2f} microseconds each")


if __name__ == "__main__":
    main()
