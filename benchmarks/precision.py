"""The CPU seconds until the p99 of the power of two choices is known to 1%, beside a plain compiled loop.

100 FIFO servers, load 0.9, exponential services, 95% confidence. Independent runs of a few lengths measure how far
apart their quantiles lie, which gives the length that ±1% needs (for one length: the variance falls as one over the
requests); and fresh runs of that length measure what they cost and how far apart they really lie. Seconds are of this
process alone (process_time): what else runs on the machine lengthens them a little, but does not count. A contestant
pays for its own warm-up: ours for its settling, which is told apart.
"""

from __future__ import annotations

import ctypes
import dataclasses
import functools
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

import scaling_models as sm
from scaling_models.montecarlo.kernels.dispatch import Dispatch
from scaling_models.montecarlo.kernels.rules import PowerOf
from scaling_models.montecarlo.runs import Plan, run
from scaling_models.montecarlo.settling import Start, settle
from scaling_models.montecarlo.traffic.arrivals import Renewal

HALF_WIDTH = 0.01
NORMAL = 1.959964  # the standard normal's 97.5% quantile
LOOP = Path(__file__).with_name("loop.c")


SERVERS, LOAD = 100, 0.9


class Tried(NamedTuple):
    """One run: its estimate of p99, CPU seconds (those for settling apart, and in the sum), and requests."""

    p99: float
    seconds: float
    settling: float
    requests: int
    note: str = ""


Contestant = Callable[[int, int], Tried]  # (seed, requests)


@dataclasses.dataclass(frozen=True)
class Precision:
    """What ±1% costs: the requests it needs, their CPU seconds, and the half width seen among runs of that length."""

    requests: int
    uncertainty: float  # one relative standard error of `requests`, at most: the lengths share their pilots' seeds
    seconds: float
    settling: float
    half_width: float
    p99: float
    error: float  # one standard error of `p99`
    note: str


def half_width(tried: list[Tried]) -> float:
    """What lies within 95% of the runs' estimates, relative to their mean."""
    estimates = np.array([each.p99 for each in tried])
    return NORMAL * float(estimates.std(ddof=1) / estimates.mean())


def needed(contestant: Contestant, lengths: tuple[int, ...], pilots: int, runs: int) -> Precision:
    """The requests at which the half width, a power of the requests over these lengths, is 1%; and what they cost."""
    first = [[contestant(seed, length) for length in lengths] for seed in range(1, pilots + 1)]
    made = np.log([each.requests for each in first[0]])
    widths = np.log([half_width([tried[at] for tried in first]) for at in range(len(lengths))])
    slope = np.polyfit(made, widths, 1)[0] if len(lengths) > 1 else -0.5
    requests = int(np.ceil(np.exp(made.mean() + (np.log(HALF_WIDTH) - widths.mean()) / slope)))
    second = [contestant(pilots + seed, requests) for seed in range(1, runs + 1)]
    estimates = np.array([each.p99 for each in second])
    return Precision(
        requests=second[0].requests,
        uncertainty=float(np.sqrt(2.0 / (pilots - 1))),
        seconds=float(np.median([each.seconds for each in second])),
        settling=float(np.median([each.settling for each in second])),
        half_width=half_width(second),
        p99=float(estimates.mean()),
        error=float(estimates.std(ddof=1) / np.sqrt(runs)),
        note=second[0].note,
    )


def compiled_loop() -> Contestant | None:
    """`loop.c`, compiled to a temporary directory by gcc -O2; None without a gcc."""
    gcc = shutil.which("gcc")
    if gcc is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "loop.so"
        subprocess.run([gcc, "-O2", "-shared", "-fPIC", "-o", str(library), str(LOOP), "-lm"], check=True)
        loop = ctypes.CDLL(str(library)).p99
    loop.argtypes, loop.restype = [ctypes.c_uint64, ctypes.c_long], ctypes.c_double

    def looped(seed: int, requests: int) -> Tried:
        begin = time.process_time()
        estimate = loop(seed, requests)
        seconds = time.process_time() - begin
        if np.isnan(estimate):
            raise RuntimeError("loop.c ran out of room in its rings or bins")
        return Tried(estimate, seconds, 0.0, requests)

    return looped


def ours() -> Contestant:
    """The system as `PowerOfChoices` simulates it; lengths tried with one seed share what settling them cost."""
    system = Dispatch(Renewal(sm.Exponential(1.0 / (LOAD * SERVERS)), sm.Exponential(1.0)), PowerOf(2), SERVERS)

    @functools.lru_cache(maxsize=1)
    def settled(seed: int) -> tuple[Start, float]:
        begin = time.process_time()
        return settle(system, seed), time.process_time() - begin

    def simulated(seed: int, requests: int) -> Tried:
        start, settling = settled(seed)
        begin = time.process_time()
        found = run(system, requests, seed, start=start)
        p99 = float(found.times["latency"].icdf(0.99))
        seconds = time.process_time() - begin
        return Tried(p99, settling + seconds, settling, found.requests, _cut(found.cut, start))

    return simulated


def _cut(cut: Plan, start: Start) -> str:
    lanes = cut.lanes * cut.copies * cut.units
    return f"{lanes} lanes of {cut.steps:,} steps after {start.steps:,} steps of {cut.lanes} lanes for settling"


def report(name: str, found: Precision) -> None:
    """Print one contestant's line."""
    print(
        f"{name}: {found.seconds:.3f} CPU seconds for p99 to ±1% (95%), {found.requests:,} requests "
        f"(±{100 * found.uncertainty:.0f}%), {1e9 * found.seconds / found.requests:.0f} ns each; among such runs "
        f"±{100 * found.half_width:.2f}%; p99 {found.p99:.4f} ± {found.error:.4f} mean services",
        flush=True,
    )


def main() -> None:
    """Print what both contestants need, and how ours compares."""
    mine = needed(ours(), lengths=(200_000, 400_000, 800_000), pilots=192, runs=128)
    report("scaling_models", mine)
    print(f"  of which {mine.settling:.3f} seconds for settling; the last stretch: {mine.note}")
    loop = compiled_loop()
    if loop is None:
        print("compiled loop: skipped, there is no gcc here.")
        return
    plain = needed(loop, lengths=(200_000,), pilots=400, runs=128)
    report("compiled loop (gcc -O2)", plain)
    print(f"scaling_models takes {mine.seconds / plain.seconds:.1f} times the CPU seconds of the compiled loop")


if __name__ == "__main__":
    main()
