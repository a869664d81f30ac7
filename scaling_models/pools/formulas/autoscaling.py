"""How an autoscaler that steers by utilization climbs out of overload."""

from __future__ import annotations

import math
from collections import deque
from typing import NamedTuple

MOST_TICKS = 100_000  # of a climb, those skipped not counted: two tenths of a second


def scale_out(servers: int, offered_load: float, target: float) -> tuple[int, ...]:
    """The numbers of servers ordered round by round, until the target is met: n <- ceil(busy / target).

    No more can be busy than there are, so that overload looks like 100%, however deep: while n <= `offered_load`
    (erlangs) a round multiplies the servers by 1/target at most, and only then comes the number wanted,
    ceil(offered_load / target). About log(offered_load / n) / log(1 / target) + 1 rounds, each of which takes the
    provisioning, and the window of the measurement. `target` in (0, 1). Exact for the rule without noise, once each
    round's servers are there; Kubernetes' horizontal pod autoscaler.
    """
    if servers < 1 or not 0 < target < 1 or not 0 <= offered_load < math.inf:
        raise ValueError(
            "scale_out: servers must lie in [1, inf), offered_load in [0, inf) erlangs and target in (0, 1); "
            f"got {servers!r}, {offered_load!r}, {target!r}"
        )
    wanted = math.ceil(offered_load / target - 1e-9)
    rounds: list[int] = []
    while servers < wanted:
        servers = math.ceil(min(servers, offered_load) / target - 1e-9)
        rounds.append(servers)
    return tuple(rounds)


class Rule(NamedTuple):
    """A control rule on utilization: every `period` s, ceil(servers busy over the last period / `target`) are wanted.

    Within [`least`, `most`]; while busy over ordered lies within `tolerance` (a fraction) of the target, ordered stays.
    More servers come `provisioning` s after they are ordered; fewer are taken down to the most that was wanted within
    the last `stabilization` s.
    """

    target: float
    period: float
    provisioning: float
    stabilization: float
    tolerance: float
    least: int
    most: int

    def steady(self, offered_load: float) -> int:
        """The servers wanted at a steady load (erlangs)."""
        return min(max(math.ceil(offered_load / self.target - 1e-9), self.least), self.most)

    def wanted(self, busy: float, ordered: int) -> int:
        """The servers wanted where `busy` are busy on average and `ordered` are ordered."""
        within = abs(busy / (self.target * ordered) - 1.0) <= self.tolerance
        return ordered if within else self.steady(busy)


class Climb(NamedTuple):
    """The fluid's way from one load to another: when which servers are there, and how many requests are.

    At `times` (s after the step) the number of servers becomes `servers`; just before it `levels` requests are in the
    pool. `relief` is when the servers there can serve more than comes (inf for never), `drained` when no request waits
    any more, `peak` the most servers ordered, and `settled` those ordered in the end.
    """

    times: tuple[float, ...]
    servers: tuple[int, ...]
    levels: tuple[float, ...]
    relief: float
    drained: float
    peak: int
    settled: int

    def waiting(self) -> tuple[float, ...]:
        """Requests that wait just before each change after the first."""
        return tuple(max(level - n, 0.0) for level, n in zip(self.levels[1:], self.servers[:-1], strict=True))


def pieces(level: float, servers: int, load: float, speed: float, lasts: float) -> list[tuple[float, float, float]]:
    """(duration, level at its end, mean busy servers) of the pieces in which the fluid moves for `lasts` s.

    m' = speed (load - min(m, servers)) from `level` on: a line where requests wait, an exponential where none does;
    it crosses the servers once at most. `load` in erlangs, `speed` 1/s. Exact for the fluid.
    """
    found = []
    while lasts > 0:
        full = level > servers or (level == servers and load >= servers)
        gap = level - load
        if full:
            cross = (level - servers) / (speed * (servers - load)) if load < servers else math.inf
            step = min(lasts, cross)
            end = float(servers) if cross <= lasts else level + speed * (load - servers) * step
            busy = float(servers)
        else:
            cross = math.log(gap / (servers - load)) / speed if load > servers else math.inf
            step = min(lasts, cross)
            end = float(servers) if cross <= lasts else load + gap * math.exp(-speed * step)
            busy = load - gap * math.expm1(-speed * step) / (speed * step) if step > 0 else level
        if step > 0:
            found.append((step, end, busy))
        level = end if step > 0 else math.nextafter(float(servers), load)  # over the edge
        lasts -= step
    return found


class _Pool:
    """The fluid in progress: advanced from moment to moment, and changed in its servers."""

    def __init__(self, servers: int, level: float, load: float, speed: float) -> None:
        self.servers, self.level, self.load, self.speed = servers, level, load, speed
        self.now, self.work = 0.0, 0.0
        self.waited, self.drained = level > servers, 0.0
        self.told: list[tuple[float, int, float]] = [(0.0, servers, level)]

    def advance(self, until: float) -> None:
        for lasts, level, busy in pieces(self.level, self.servers, self.load, self.speed, until - self.now):
            self.now, self.work, self.level = self.now + lasts, self.work + busy * lasts, level
            self._look()
        self.now = until

    def _look(self) -> None:
        if self.level > self.servers * (1.0 + 1e-12):
            self.waited, self.drained = True, math.inf
        elif self.waited and self.drained == math.inf:
            self.drained = self.now

    def become(self, servers: int, extra: float = 0.0) -> None:
        if servers == self.servers:
            return
        self.told.append((self.now, servers, self.level))
        self.level = max(self.level + extra, 0.0)
        self.servers = servers
        self._look()


def climb(rule: Rule, servers: int, before: float, after: float, speed: float, extra: float = 0.0) -> Climb:
    """How the rule follows a step of load from `before` to `after` erlangs at a tick of its clock; fluid, no noise.

    From `servers` on; a server carries `speed` requests/s. `extra` requests are added as the servers that bring relief
    come (what chance adds to the fluid). Until all is settled, or short for ever. Exact for the fluid.
    """
    pool = _Pool(servers, before, after, speed)
    ordered, work, tick = servers, 0.0, 0
    # What was wanted, of old only where no more was wanted since: the first is the most of those that still count.
    wants, kept = deque([(0, servers)]), int(rule.stabilization / rule.period + 1e-9)
    coming: list[tuple[float, int]] = []  # when, and how many in all
    relief, peak = (0.0 if servers > after else math.inf), servers
    for _ in range(MOST_TICKS):
        tick += 1
        while coming and coming[0][0] < tick * rule.period * (1.0 - 1e-12):
            at, many = coming.pop(0)
            pool.advance(at)
            turns = relief == math.inf and many > after
            relief = at if turns else relief
            pool.become(max(pool.servers, many), extra if turns else 0.0)
        pool.advance(tick * rule.period)
        busy, work = (pool.work - work) / rule.period, pool.work
        wanted = rule.wanted(busy, ordered)
        while wants and wants[0][0] < tick - kept:
            wants.popleft()
        while wants and wants[-1][1] <= wanted:
            wants.pop()
        wants.append((tick, wanted))
        calm = wants[0][1]
        earlier, ordered = ordered, max(wanted, min(ordered, calm))
        peak = max(peak, ordered)
        if ordered < earlier:
            coming = [(at, min(many, ordered)) for at, many in coming]
            pool.become(min(pool.servers, ordered))
        if ordered > earlier:
            coming.append((tick * rule.period + rule.provisioning, ordered))
        elif pool.level > pool.servers and coming and after >= pool.servers:
            tick = max(tick, math.ceil(coming[0][0] / rule.period - 1e-9) - 1)  # until then each tick sees the same
            pool.advance(tick * rule.period)
            work, wants[-1] = pool.work, (tick, wanted)
        steady = abs(pool.level - after) <= 1e-9 * after and calm == ordered == rule.wanted(after, ordered)
        stuck = rule.wanted(float(ordered), ordered) == ordered == pool.servers  # at most, or 100% within tolerance
        short = pool.level > pool.servers and after >= pool.servers and stuck
        if not coming and (steady or short):
            break
    times, counts, levels = zip(*pool.told, strict=True)
    drained = math.inf if relief == math.inf and pool.waited else pool.drained
    return Climb(times, counts, levels, relief, drained, peak, ordered)
