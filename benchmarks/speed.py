"""What a simulated customer costs, as a ratio to numpy's drawing the random numbers that it needs; and closed forms.

Every line is measured beside its own floor: each call of a numpy generator that the work makes is noted once, and then
the same calls are made by themselves, in turn with the work. CPU seconds of this process, the shortest of a few runs of
a few hundred milliseconds. The kernels begin settled, on as many lanes as a run uses, and nothing but the kernel is in
the line: its draws, its recursion, its tallies. The lines of `simulate` are whole runs: settling, samples counted in
bins, and the check that both starts agree.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from unittest import mock

import numpy as np

import scaling_models as sm
from scaling_models.montecarlo.kernels import autoscaling, copies
from scaling_models.montecarlo.kernels.autoscaling import ChangingPool
from scaling_models.montecarlo.kernels.central import Central
from scaling_models.montecarlo.kernels.dispatch import Dispatch
from scaling_models.montecarlo.kernels.failures import FailingServers
from scaling_models.montecarlo.kernels.forks import ForkJoin
from scaling_models.montecarlo.kernels.hedging import Hedging
from scaling_models.montecarlo.kernels.loops import Loop
from scaling_models.montecarlo.kernels.losses import Loss
from scaling_models.montecarlo.kernels.priorities import Priorities, PriorityClass
from scaling_models.montecarlo.kernels.queues import fifo_waits
from scaling_models.montecarlo.kernels.retries import Retries
from scaling_models.montecarlo.kernels.rules import JoinIdle, LeastConnections, LeastWork, PowerOf, Random, RoundRobin
from scaling_models.montecarlo.kernels.shedding import Shedding
from scaling_models.montecarlo.settling import settle
from scaling_models.montecarlo.streams import stream, streams_of
from scaling_models.montecarlo.systems import BLOCK, System, block_of, lanes_of
from scaling_models.montecarlo.traffic.arrivals import Renewal

REPEATS = 5
LEAST = 0.3  # seconds of one run of the work
LONG = 20_000_000  # requests of a whole run
LOAD = 0.9

Call = tuple[str, tuple[Any, ...], dict[str, Any]]
Work = Callable[[], float]  # answers how many customers it made


class Recorder:
    """A numpy generator that notes what is asked of it."""

    def __init__(self, rng: np.random.Generator, calls: list[Call]) -> None:
        self.rng, self.calls = rng, calls

    def __getattr__(self, name: str) -> Any:
        def draw(*args: Any, **options: Any) -> Any:
            self.calls.append((name, args, options))
            return getattr(self.rng, name)(*args, **options)

        return draw


@contextlib.contextmanager
def recorded() -> Iterator[list[Call]]:
    """The calls of all generators that are made meanwhile."""
    calls: list[Call] = []
    made = np.random.default_rng
    with mock.patch.object(np.random, "default_rng", lambda *seed: Recorder(made(*seed), calls)):
        yield calls


def again(calls: list[Call], times: int = 1) -> None:
    """The same draws, and nothing else."""
    rng = np.random.default_rng(1)
    for name, args, options in calls * times:
        getattr(rng, name)(*args, **options)


def cpu(work: Callable[[], Any]) -> float:
    """The CPU seconds of one run."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def best(work: Callable[[], Any], repeats: int = REPEATS) -> float:
    """The CPU seconds of the shortest of a few runs: what disturbs a run only lengthens it."""
    return min(cpu(work) for _ in range(repeats))


class Cost(NamedTuple):
    """CPU seconds a customer: of the work, and of its draws alone."""

    ours: float
    floor: float

    @property
    def ratio(self) -> float:
        """How many times its draws the work costs."""
        return self.ours / self.floor


def cost(work: Work, repeats: int = REPEATS) -> Cost:
    """What a customer costs, work and floor measured in turn."""
    with recorded() as calls:
        customers = work()
    times = int(np.ceil(LEAST / 2 / cpu(lambda: again(calls))))  # draws alone last no longer than a blink
    ours, floors = zip(*((cpu(work), cpu(lambda: again(calls, times))) for _ in range(repeats)), strict=True)
    return Cost(min(ours) / customers, min(floors) / (customers * times))


def lasting(work: Work) -> Work:
    """The work as often as it takes to be measured."""
    work()
    times = int(np.ceil(LEAST / cpu(work)))
    return lambda: sum(work() for _ in range(times))


def one_line(block: int = 2**14) -> Work:
    """M/M/1 as one long run, block after block."""
    wait = 0.0

    def work() -> float:
        nonlocal wait
        rng = stream(1)
        services, gaps = rng.standard_exponential(block), rng.standard_exponential(block)
        gaps /= LOAD
        _, wait = fifo_waits(services, gaps, wait)
        return block

    return lasting(work)


def blocks_of(system: System, counted: str = "requests") -> Work:
    """The lanes of a unit of work, settled, and then block after block, as a run has them."""
    state = system.pick(settle(system, 1).state, np.tile(np.arange(lanes_of(system)), system.copies))
    blocks, size = iter(range(10**9)), max(BLOCK, block_of(system) // system.copies)

    def work() -> float:
        nonlocal state
        told, state = system.advance(state, streams_of(1, 1, next(blocks)), size)
        return float(told.tallies[counted].sum())

    return lasting(work)


def scaled_pool() -> Work:
    """A hundred control intervals of an autoscaled pool, from empty."""
    rule = autoscaling.ScalingRule(target=0.7, interval=15.0, window=30.0, most=100)
    pool = ChangingPool(Renewal(sm.Exponential(1 / 40), sm.Exponential(1.0)), 60, rule)
    return lambda: float(np.isfinite(pool.follow(np.arange(15.0, 1501.0, 15.0), 128, 1).waits).sum())


def whole(model: sm.Model, requests: int) -> Work:
    """A whole simulation."""
    return lambda: float(model.simulate(requests, seed=1).requests)


def poisson(slots: float, load: float = LOAD, service: sm.Distribution | None = None) -> Renewal:
    """Poisson arrivals at this load of so many slots, services of mean 1."""
    return Renewal(sm.Exponential(1.0 / (load * slots)), service or sm.Exponential(1.0))


def kernels() -> dict[str, Callable[[], Work]]:
    """Every kernel's line: mean service 1, load 0.9 unless it says otherwise."""
    gap, service = sm.Exponential(1.0 / 9.0), sm.Exponential(1.0)
    rush, calm = sm.Exponential(1.0 / 7.0), sm.Exponential(1.0 / 4.0)
    classes = tuple(PriorityClass(sm.Exponential(1.0 / 3.0), service) for _ in range(3))
    hedge = copies.HedgingRule(10, delay=2.0)
    systems: dict[str, tuple[System, str]] = {
        "M/M/1, lanes": (Central(poisson(1), 1), "requests"),
        "M/M/10": (Central(poisson(10), 10), "requests"),
        "M/M/100": (Central(poisson(100), 100), "requests"),
        "random split, 10": (Dispatch(poisson(10), Random(), 10), "requests"),
        "round robin, 10": (Dispatch(poisson(10), RoundRobin(), 10), "requests"),
        "power of two, 100": (Dispatch(poisson(100), PowerOf(2), 100), "requests"),
        "power of two, 100, lognormal (SCV 4)": (
            Dispatch(poisson(100, service=sm.LogNormal(1.0, 4.0)), PowerOf(2), 100),
            "requests",
        ),
        "least connections, 10": (Dispatch(poisson(10), LeastConnections(), 10), "requests"),
        "join idle queue, 10": (Dispatch(poisson(10), JoinIdle(), 10), "requests"),
        "least work left, 10": (Dispatch(poisson(10), LeastWork(), 10), "requests"),
        "processor sharing, power of two, 10": (Dispatch(poisson(10), PowerOf(2), 10, sharing=True), "requests"),
        "losses (50 places, patience), 10": (Loss(Renewal(gap, service), 10, 50, sm.Exponential(5.0)), "requests"),
        "shed at random, and where a queue stands, 10": (Shedding(poisson(10), 10, 0.1, 0.5, 10.0), "requests"),
        "retries (an attempt; load 0.7), 10": (Retries(rush, service, 10, timeout=4.0, retries=3), "attempts"),
        "closed loop (100 clients), 10": (Loop(100, sm.Exponential(10.0), service, 10), "requests"),
        "priorities (three classes), 10": (Priorities(classes, 10), "requests"),
        "fork-join (a task; 4 of 10, load 0.7)": (
            ForkJoin(Renewal(sm.Exponential(4.0 / 7.0), service), 4, 10),
            "tasks",
        ),
        "hedging, never cancelled (load 0.4), 10": (Hedging(calm, service, hedge, "never"), "requests"),
        "hedging, cancelled anywhere (load 0.4), 10": (Hedging(calm, service, hedge, "anywhere"), "requests"),
        "failing servers (load 0.7), 10": (
            FailingServers(rush, service, 10, sm.Exponential(190.0), sm.Exponential(10.0)),
            "requests",
        ),
    }
    lines: dict[str, Callable[[], Work]] = {"M/M/1, one long run": one_line}
    for name, (system, counted) in systems.items():
        lines[name] = lambda system=system, counted=counted: blocks_of(system, counted)  # type: ignore[misc]
    return {**lines, "autoscaling (40 busy slots)": scaled_pool}


def runs() -> dict[str, sm.Model]:
    """The models of the whole runs, load 0.9."""
    return {
        "M/M/1": sm.CentralQueue(90.0, 1),
        "M/M/10": sm.CentralQueue(900.0, 10),
        "power of two": sm.pools.PowerOfChoices(9000.0, 100),
    }


def printed(name: str, found: Cost) -> None:
    """One line of the table."""
    print(f"{name:45s} {1e9 * found.ours:8.1f} {1e9 * found.floor:8.1f} {found.ratio:8.1f}", flush=True)


def main() -> None:
    """Print every figure."""
    print(f"{'CPU time a customer':45s} {'ns':>8s} {'draws':>8s} {'ratio':>8s}")
    for name, prepare in kernels().items():
        printed(name, cost(prepare()))
    for name, model in runs().items():
        printed(f"simulate {LONG:,} requests: {name}", cost(whole(model, LONG), repeats=2))
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
