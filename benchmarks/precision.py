"""The CPU seconds until the p99 of the power of two choices is known to 1%, beside a plain compiled loop.

100 FIFO servers, load 0.9, exponential services, 95% confidence. The variance of a quantile falls as one over the
requests; independent runs of one length measure it, which gives the length that ±1% needs, and independent runs of that
length measure what they cost and how far apart they really lie. Seconds are of this process alone (process_time): what
else runs on the machine lengthens them a little, but does not count. A contestant pays for its own warm-up.
"""

from __future__ import annotations

import ctypes
import dataclasses
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

Contestant = Callable[[int, int], tuple[float, float]]  # (seed, requests) -> (estimate of p99, CPU seconds)

HALF_WIDTH = 0.01
NORMAL = 1.959964  # the standard normal's 97.5% quantile
LOOP = Path(__file__).with_name("loop.c")


@dataclasses.dataclass(frozen=True)
class Precision:
    """What ±1% costs: the requests it needs, their CPU seconds, and the half width seen among runs of that length."""

    requests: int
    uncertainty: float  # one relative standard error of `requests`
    seconds: float
    half_width: float
    p99: float
    error: float  # one standard error of `p99`


def needed(contestant: Contestant, requests: int, pilots: int, runs: int) -> Precision:
    """The requests n with 1.96 sqrt(v/n) = 1% of p99, v being n times the variance of p99 over `pilots` runs."""
    first = np.array([contestant(seed, requests) for seed in range(1, pilots + 1)])[:, 0]
    relative_variance = requests * first.var(ddof=1) / first.mean() ** 2
    length = int(np.ceil(relative_variance * (NORMAL / HALF_WIDTH) ** 2))
    estimates, seconds = np.array([contestant(pilots + seed, length) for seed in range(1, runs + 1)]).T
    half_width = NORMAL * float(estimates.std(ddof=1) / estimates.mean())
    error = float(estimates.std(ddof=1) / np.sqrt(runs))
    uncertainty = float(np.sqrt(2.0 / (pilots - 1)))
    return Precision(length, uncertainty, float(np.median(seconds)), half_width, float(estimates.mean()), error)


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

    def run(seed: int, requests: int) -> tuple[float, float]:
        begin = time.process_time()
        estimate = loop(seed, requests)
        seconds = time.process_time() - begin
        if np.isnan(estimate):
            raise RuntimeError("loop.c ran out of room in its rings or bins")
        return estimate, seconds

    return run


def report(name: str, found: Precision) -> None:
    """Print one contestant's line."""
    print(
        f"{name}: {found.seconds:.3f} CPU seconds for p99 to ±1% (95%), {found.requests:,} requests "
        f"(±{100 * found.uncertainty:.0f}%), {1e9 * found.seconds / found.requests:.0f} ns each; among such runs "
        f"±{100 * found.half_width:.2f}%; p99 {found.p99:.4f} ± {found.error:.4f} mean services"
    )


CONTESTANTS: dict[str, Callable[[], Contestant | None]] = {"compiled loop (gcc -O2)": compiled_loop}


def main() -> None:
    """Print what every contestant needs."""
    for name, prepare in CONTESTANTS.items():
        contestant = prepare()
        if contestant is None:
            print(f"{name}: skipped, there is no gcc here.")
        else:
            report(name, needed(contestant, requests=200_000, pilots=400, runs=100))


if __name__ == "__main__":
    main()
