"""A rolling deploy in the fluid: what waits while a batch of servers is away, and when it is gone."""

from __future__ import annotations

import math
from typing import NamedTuple

from scaling_models.pools.formulas.autoscaling import pieces


class Rollout(NamedTuple):
    """The fluid's way through a deploy, from the first batch's departure on.

    At `times` (s) the number of slots becomes `slots`, and `levels` requests are in the pool or, while a batch is away,
    before the rest of it. `waiting` requests wait as each batch comes back, `left` as the next one goes (or 0), and
    the queue is gone `drain` s after the last came back (inf for never).
    """

    times: tuple[float, ...]
    slots: tuple[int, ...]
    levels: tuple[float, ...]
    waiting: tuple[float, ...]
    left: tuple[float, ...]
    drain: float


def rollout(batches: tuple[int, ...], slots: int, load: float, speed: float, away: float, pause: float) -> Rollout:
    """Batches of so many slots go one after another for `away` s each, with a `pause` s between; `load` in erlangs.

    A batch that goes finishes what it serves elsewhere: from a pool of m requests it takes its share, its slots at
    most. Then m' = speed (load - min(m, slots)). A slot serves `speed` requests/s. Exact for the fluid.
    """
    now, level = 0.0, load
    told, waiting, left = list[tuple[float, int, float]](), list[float](), list[float]()
    for number, gone in enumerate(batches):
        if number:
            level = _later(level, slots, load, speed, pause)
            now += pause
        left.append(max(level - slots, 0.0))
        level -= gone * min(level / slots, 1.0)
        told.append((now, slots - gone, level))
        level = _later(level, slots - gone, load, speed, away)
        now += away
        waiting.append(max(level - (slots - gone), 0.0))
        told.append((now, slots, level))
    above = max(level - slots, 0.0)
    drain = 0.0 if above == 0 else above / (speed * (slots - load)) if load < slots else math.inf
    times, counts, levels = zip(*told, strict=True)
    return Rollout(times, counts, levels, tuple(waiting), tuple(left), drain)


def _later(level: float, slots: int, load: float, speed: float, lasts: float) -> float:
    moves = pieces(level, slots, load, speed, lasts) if slots else []
    return moves[-1][1] if moves else level + (0.0 if slots else speed * load * lasts)


def relaxation_time(slots: int, load: float, speed: float, scv: float = 1.0) -> float:
    """About how long M/M/c remembers: 1 / min(mu, (sqrt(c mu) - sqrt(lambda))^2) s; inf at overload.

    The square is the end of the continuous part of the generator's spectrum (Karlin and McGregor 1958; van Doorn
    1985). Times (1 + scv) / 2 for service that is not exponential, which is a heavy-traffic rule. Of M/M/c exact for
    one slot and at high loads; where the square is near mu, an eigenvalue beside that spectrum makes it up to 6%
    longer.
    """
    if load >= slots:
        return math.inf
    return (1.0 + scv) / 2.0 / (speed * min(1.0, (math.sqrt(slots) - math.sqrt(load)) ** 2))
