"""What the load of a quorum system costs here and in quoracle, each in its own words, in the same run.

Majority of 15 at half reads; the 5x5 grid (a row reads, one of every row writes) whose quorums survive one failure.
Where all replicas are equal and the expression is symmetric, here the answer needs no linear programme; so unequal
replicas are timed too, in which it does. Seconds are wall seconds, for quoracle solves in a process of its
own. quoracle lists all quorums: it is given `PATIENCE` seconds, and after that the ratio is a lower bound.
"""

from __future__ import annotations

import importlib.util
import multiprocessing
import time
from collections.abc import Callable

from scaling_models.quorums import QuorumSystem, Replica, grid, majority

PATIENCE = 100.0
REPEATS = 5
MEMBERS = [f"r{i:02}" for i in range(25)]

Case = Callable[[bool], float]  # whether replicas are unequal -> the load


def replicas(names: list[str], unequal: bool) -> dict[str, Replica]:
    """Capacities of 1, or from 1 to 2."""
    return {
        name: Replica(read_capacity=1 + i / 25, write_capacity=1 + i / 25) for i, name in enumerate(names) if unequal
    }


def our_majority(unequal: bool) -> float:
    """Majority of 15."""
    names = MEMBERS[:15]
    return QuorumSystem(majority(*names), replicas=replicas(names, unequal)).load(0.5)


def our_grid(unequal: bool) -> float:
    """5x5, surviving one failure."""
    rows = [MEMBERS[at : at + 5] for at in range(0, 25, 5)]
    return QuorumSystem(grid(rows), replicas=replicas(MEMBERS, unequal)).load(0.5, f=1)


def their_majority(unequal: bool) -> float:
    """The same in quoracle."""
    import quoracle

    nodes = [quoracle.Node(name, capacity=1 + i / 25 if unequal else 1) for i, name in enumerate(MEMBERS[:15])]
    return float(quoracle.QuorumSystem(reads=quoracle.majority(nodes)).load(read_fraction=0.5))


def their_grid(unequal: bool) -> float:
    """The same in quoracle."""
    import quoracle

    nodes = [quoracle.Node(name, capacity=1 + i / 25 if unequal else 1) for i, name in enumerate(MEMBERS)]
    rows = [a * b * c * d * e for a, b, c, d, e in (nodes[at : at + 5] for at in range(0, 25, 5))]
    return float(
        quoracle.QuorumSystem(reads=rows[0] + rows[1] + rows[2] + rows[3] + rows[4]).load(read_fraction=0.5, f=1)
    )


CASES: dict[str, tuple[Case, Case]] = {
    "majority of 15": (our_majority, their_majority),
    "5x5 grid, f = 1": (our_grid, their_grid),
}


def seconds(case: Case, unequal: bool, repeats: int) -> tuple[float, float]:
    """The shortest of a few runs, and the load."""
    found, load = float("inf"), 0.0
    for _ in range(repeats):
        start = time.perf_counter()
        load = case(unequal)
        found = min(found, time.perf_counter() - start)
    return found, load


def patiently(case: Case) -> tuple[float, float] | None:
    """One run in a process of its own, or None where it takes longer than `PATIENCE`."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        asked = pool.apply_async(seconds, (case, False, 1))
        try:
            return asked.get(PATIENCE)
        except multiprocessing.TimeoutError:
            return None


def main() -> None:
    """Print a line a case."""
    there = importlib.util.find_spec("quoracle") is not None
    if not there:
        print("quoracle is not installed (pip install quoracle): ours alone")
    for name, (ours, theirs) in CASES.items():
        mine, load = seconds(ours, False, REPEATS)
        uneven, other = seconds(ours, True, REPEATS)
        line = (
            f"{name:16}  load {load:.6f} in {1e3 * mine:.1f} ms; unequal replicas {other:.6f} in {1e3 * uneven:.1f} ms"
        )
        if there:
            peer = patiently(theirs)
            said = f"{peer[0]:.1f} s (load {peer[1]:.6f})" if peer else f"more than {PATIENCE:.0f} s"
            line += (
                f"; quoracle {said}, {'' if peer else 'more than '}{(peer[0] if peer else PATIENCE) / mine:,.0f} times"
            )
        print(line, flush=True)


if __name__ == "__main__":
    main()
