"""Pools that grow and shrink: against a heap of events, exact forward equations, and fluid limits."""

import collections
import dataclasses
import heapq
import math

import numpy as np
import pytest
from scipy import integrate, sparse, special
from scipy.sparse import linalg

import scaling_models as sm
from scaling_models.montecarlo.kernels.autoscaling import ChangingPool, ScalingRule
from scaling_models.montecarlo.kernels.queues import central_waits
from scaling_models.montecarlo.kernels.timelines import counts_at, drawn_until
from scaling_models.montecarlo.traffic.arrivals import Renewal, TimeVarying, sinusoid

REACH = special.ndtri(1.0 - 0.5e-8)  # normal deviates: a false alarm in 1e8 comparisons
ONE = sm.Exponential(1.0)
WAVE = sinusoid(14.0, 0.3, 10.0, ONE)
RULE = ScalingRule(0.7, 2.0, 4.0, 3.0, 7.0, 2, 30)
PROMPT = ScalingRule(0.5, 1.0, 1.0, 0.0, 0.0, 1, 40, 0.0)
LATE = ScalingRule(0.8, 1.0, 5.0, 6.5, 12.0, 3, 25)


class Scaler:
    """The rule once more, for one lane, told slot by slot."""

    def __init__(self, rule, slots):
        self.rule, self.ready, self.ordered = rule, slots, slots
        self.used, self.wishes, self.pending = [0.0], [slots], []

    def tick(self, now, used):
        rule = self.rule
        self.used.append(used)
        span = min(round(rule.window / rule.interval), len(self.used) - 1)
        busy = (used - self.used[-1 - span]) / (span * rule.interval)
        utilization = busy / self.ordered
        wish = self.ordered
        if abs(utilization / rule.target - 1) > rule.tolerance:
            wish = max(rule.least, min(rule.most, math.ceil(self.ordered * utilization / rule.target - 1e-9)))
        self.wishes.append(wish)
        recent = [w for k, w in enumerate(reversed(self.wishes)) if k * rule.interval <= rule.stabilization + 1e-9]
        if wish > self.ordered:
            self.pending += [now + rule.provisioning] * (wish - self.ordered)
            self.ordered = wish
        while self.ordered > max(recent):
            self.ordered -= 1
            if self.pending:
                self.pending.pop()
            else:
                self.ready -= 1

    def arrive(self, now):
        while self.pending and self.pending[0] <= now + 1e-12:
            self.pending.pop(0)
            self.ready += 1


def event_by_event(arrivals, services, slots, until, times, changes=(), rule=None):
    """One lane by a heap of events: waits of those that start, and (slots, ordered, in flight, busy time) at times."""
    scaler = Scaler(rule, slots) if rule else None
    events = [(t, 1, n) for n, t in enumerate(arrivals)] + [(t, 3, c) for t, c in changes] + [(t, 9, 0) for t in times]
    if rule:
        ticks = [k * rule.interval for k in range(1, int(until / rule.interval) + 1)]
        events += [(t, 4, 0) for t in ticks] + [(t + rule.provisioning, 5, 0) for t in ticks]
    heapq.heapify(events)
    queue, waits, looks = collections.deque(), {}, []
    serving, busy, now = 0, 0.0, 0.0
    while events:
        then, kind, which = heapq.heappop(events)
        busy += serving * (then - now)
        now = then
        if now > until:
            break
        if kind == 0:
            serving -= 1
        elif kind == 1:
            queue.append(which)
        elif kind == 3:
            slots = which
        elif kind == 4:
            scaler.tick(now, busy)
        elif kind == 5:
            scaler.arrive(now)
        else:
            looks.append(
                (scaler.ready if rule else slots, scaler.ordered if rule else slots, serving + len(queue), busy)
            )
        while queue and serving < (scaler.ready if rule else slots):
            n = queue.popleft()
            waits[n] = now - arrivals[n]
            serving += 1
            heapq.heappush(events, (now + services[n], 0, 0))
    return waits, np.array(looks)


SHAKEN = ((3.0, 12), (3.5, 30), (11.0, 14), (12.0, 25), (21.25, 9), (22.0, 22))


@pytest.mark.parametrize(
    ("changes", "rule", "slots"),
    [(SHAKEN, None, 20), ((), RULE, 12), ((), PROMPT, 20), ((), LATE, 5), ((), None, 17)],
)
@pytest.mark.parametrize("service", [ONE, sm.LogNormal(1.0, 4.0)])
def test_a_lane_equals_the_heap_of_events(changes, rule, slots, service):
    flow = sinusoid(14.0, 0.8, 10.0, service)
    pool = ChangingPool(flow, slots, rule, changes)
    times = np.arange(0.7, 30.0, 1.3)
    run = pool.follow(times, 4, seed=5)
    services, arrivals = drawn_until(flow, times[-1], 4, 5)
    moved = 0.0
    for lane in range(4):
        numbers = (arrivals[:, lane], services[:, lane], slots, times[-1], times, changes, rule)
        waits, looks = event_by_event(*numbers)
        started = ~np.isnan(run.waits[:, lane])
        assert abs(started.sum() - len(waits)) <= 1  # one may start at the very last moment
        expected = np.array([waits[n] for n in range(started.sum())])
        np.testing.assert_allclose(run.waits[started, lane], expected, atol=1e-9)
        found = np.stack([run.slots[:, lane], run.ordered[:, lane], run.in_flight[:, lane]], axis=1)
        np.testing.assert_array_equal(found, looks[:, :3])
        used = np.cumsum(np.diff(looks[:, 3], prepend=0.0))
        np.testing.assert_allclose(used, looks[:, 3], atol=1e-9)
        moved += np.ptp(looks[:, 0])
        if not changes and not rule:
            busy = np.diff(looks[:, 3], prepend=0.0) / slots / np.diff(times, prepend=0.0)
            np.testing.assert_allclose(run.utilization[:, lane], busy, atol=1e-9)
    assert (moved > 0) == bool(changes or rule)


def test_slots_that_stay_are_a_central_queue():
    flow = Renewal(sm.Exponential(0.25), sm.LogNormal(1.0, 2.0))
    run = ChangingPool(flow, 5).follow(np.array([60.0]), 7, seed=2)
    services, arrivals = drawn_until(flow, 60.0, 7, 2)
    waits, _ = central_waits(services, np.diff(arrivals, axis=0, prepend=0.0), np.zeros((5, 7)))
    started = ~np.isnan(run.waits)
    np.testing.assert_allclose(run.waits[started], waits[started], atol=1e-9)
    assert (started == (arrivals + waits < 60.0)).all()
    np.testing.assert_allclose(run.latencies[started], (waits + services)[started], atol=1e-9)
    np.testing.assert_array_equal(run.arrivals[started], arrivals[started])
    assert np.isnan(run.arrivals[~started]).all()


def forward(rate, slots, times, most=90):
    """The law of the number in an M_t/M/c_t pool from empty at each of the times: Kolmogorov's forward equations."""
    n = np.arange(most + 1)

    def flow(t, p):
        up, down = rate(t) * p[:-1], np.minimum(n[1:], slots(t)) * p[1:]
        change = np.zeros_like(p)
        change[:-1] += down - up
        change[1:] += up - down
        return change

    solved = integrate.solve_ivp(
        flow,
        (0.0, times[-1]),
        np.eye(1, most + 1)[0],
        t_eval=times,
        rtol=1e-8,
        atol=1e-10,
        method="LSODA",
        max_step=0.5,
    )
    assert abs(solved.y.sum(axis=0) - 1).max() < 1e-6
    return solved.y


def agree(found, expected, least):
    """Means over independent lanes (times, lanes) within REACH errors at all times, where `least` would be seen."""
    error = found.std(axis=1, ddof=1) / math.sqrt(found.shape[1])
    assert (np.abs(found.mean(axis=1) - expected) <= REACH * error).all()
    assert ((REACH + 1.645) * error <= least * expected).all()


@pytest.mark.parametrize("period", [10.0, 50.0])
def test_a_pool_under_a_wave_equals_the_forward_equations(period):
    times = np.array([1.0, 3.0, 6.0, 10.0, 13.0, 15.0, 20.0, 24.0, 30.0])
    run = ChangingPool(sinusoid(14.0, 0.3, period, ONE), 20).follow(times, 2500, seed=11)
    law = forward(lambda t: 14.0 * (1 + 0.3 * np.sin(2 * np.pi * t / period)), lambda t: 20, times)
    n = np.arange(len(law))
    agree(run.in_flight, n @ law, 0.06)
    crowded = (run.in_flight >= 20).mean(axis=1)
    expected = law[20:].sum(axis=0)
    error = np.sqrt(expected * (1 - expected) / 2500)
    assert (np.abs(crowded - expected) <= REACH * error + 2e-3).all()  # few events: a little room for the skew
    busy = np.minimum(n, 20) @ law
    assert run.utilization.shape == (9, 2500)
    assert busy.max() > 14.0


def constant(law, rate, slots, time):
    """The law of the number in an M/M/c pool `time` later: the exponential of its generator."""
    n = np.arange(len(law))
    up, down = np.where(n < n[-1], rate, 0.0), np.minimum(n, slots).astype(float)
    generator = sparse.diags([-(up + down), up[:-1], down[1:]], [0, -1, 1]).tocsc()
    return linalg.expm_multiply(generator * time, law)


def test_a_step_of_load_met_late_is_the_exact_chain_and_nearly_the_fluid():
    """Load 7 to 14 at 10 slots, 20 slots after 20 services: fluid backlog, drain and wait."""
    before, after, few, many, lead, delay = 7.0, 14.0, 10, 20, 20.0, 20.0
    flow = TimeVarying((0.0, lead, lead), (before, before, after), math.inf, ONE)
    pool = ChangingPool(flow, few, changes=((lead + delay, many),))
    fill = math.log((after - before) / (after - few))
    backlog = (after - few) * (delay - fill)
    drain = backlog / (many - after)
    times = np.array([5.0, lead, 30.0, lead + delay, lead + delay + drain, 90.0])
    run = pool.follow(times, 900, seed=3)
    laws = [constant(np.eye(1, 300)[0], before, few, 5.0)]
    steps = [
        (before, few, 15.0),
        (after, few, 10.0),
        (after, few, 10.0),
        (after, many, drain),
        (after, many, 50 - drain),
    ]
    for step in steps:
        laws.append(constant(laws[-1], *step))
    expected = np.array(laws) @ np.arange(300)
    agree(run.in_flight, expected, np.array([0.12, 0.13, 0.09, 0.07, 0.2, 0.09]))
    exact, peak = expected[3] - few, run.in_flight[3] - few
    assert exact / backlog == pytest.approx(1.025, abs=1e-3)
    second, fourth = (laws[3] @ (np.arange(300) - expected[3]) ** k for k in (2, 4))
    chance = math.sqrt((fourth - second**2) / 900)  # of the variance; (REACH + 1.645) of it, 35%, would be seen
    assert abs(peak.var(ddof=1) - second) <= REACH * chance < 0.28 * second
    assert math.sqrt(second / ((after + few) * delay)) == pytest.approx(0.980, abs=1e-3)  # beside the fluid's
    assert expected[4] - many < 0.1 * backlog  # drained, but for those lanes whose backlog was larger
    soon = (run.arrivals >= lead + delay) & (run.arrivals < lead + delay + 0.05)
    waits = run.waits[np.where(soon.any(axis=0), soon.argmax(axis=0), 0), np.arange(900)][soon.any(axis=0)]
    worst = np.maximum(np.arange(300) - (many - 1), 0) @ laws[3] / many  # one leaves every 1/20 s until a slot is free
    assert worst == pytest.approx((exact - (many - few) + 1) / many, rel=0.01)  # the new slots serve ten at once
    assert abs(waits.mean() - worst) < REACH * waits.std(ddof=1) / math.sqrt(len(waits)) + 0.05 * (1 - after / many)


def test_a_rule_settles_where_its_target_is():
    rule = ScalingRule(0.5, 1.0, 20.0, 2.0, 20.0, 1, 80)
    run = ChangingPool(Renewal(sm.Exponential(1 / 14.0), ONE), 28, rule).follow(
        np.arange(10.0, 200.0, 10.0), 600, seed=1
    )
    settled = run.slots[5:].mean(axis=0)
    error = settled.std(ddof=1) / math.sqrt(600)
    # Ordered stays while utilization is within a tenth of the target: between 28/1.1 and 28/0.9, but for noise.
    assert 28 / 1.1 - REACH * error < settled.mean() < 28 / 0.9 + REACH * error + 2.0
    assert (run.ordered >= run.slots).all()
    busy = np.minimum(run.in_flight, run.slots)[5:].mean(axis=0)
    agree(busy[None], np.array([14.0]), 0.025)  # Little's law of the slots, however many there are
    held = dataclasses.replace(rule, least=28, most=28)
    run = ChangingPool(Renewal(sm.Exponential(1 / 14.0), ONE), 28, held).follow(np.array([30.0, 200.0]), 150, seed=1)
    agree(run.utilization[1:], np.array([0.5]), 0.025)


def test_a_rule_keeps_within_its_bounds_and_its_pace():
    rule = ScalingRule(0.5, 1.0, 1.0, 4.0, 6.0, 3, 12)
    step = TimeVarying((0.0, 10.0, 10.0, 40.0, 40.0), (1.0, 1.0, 30.0, 30.0, 0.5), math.inf, ONE)
    run = ChangingPool(step, 3, rule).follow(np.arange(0.5, 140.0), 50, seed=1)
    assert (run.slots >= 3).all()
    assert run.slots.max() == run.ordered.max() == 12
    calm = (run.ordered[10] == 3) & (run.slots[10] == 3)
    assert calm.sum() >= 5
    assert (run.ordered[11, calm] == 6).all()  # three busy slots at a target of one half: no more can be known yet
    assert (run.slots[14, calm] == 3).all()  # ordered at 11 s, and ready 4 s later
    assert (run.slots[15, calm] == 6).all()
    assert (run.ordered[16, calm] >= 11).all()
    assert (run.slots[19, calm] == 6).all()
    assert (run.slots[21, calm] == 12).all()
    assert run.slots[100:].mean() < 5
    less = 22 + (np.diff(run.slots[22:], axis=0) < 0).argmax(axis=0)
    assert (less > 80).all()  # 18 requests/s too many for 20 s, and more before that, take until about 93 s to drain


def test_an_idle_pool_and_counts():
    quiet = ChangingPool(TimeVarying((0.0, 50.0, 50.0), (0.0, 0.0, 1.0), math.inf, ONE), 4, ScalingRule(least=2))
    run = quiet.follow(np.array([10.0, 40.0]), 3, seed=0)
    assert np.isnan(run.waits).all()
    assert (run.in_flight == 0).all()
    assert (run.utilization == 0).all()
    arrivals = np.array([[0.5, 1.0], [0.7, 3.0], [4.0, 3.5]])
    np.testing.assert_array_equal(counts_at(arrivals, np.array([0.6, 1.0, 3.2])), [[1, 0], [2, 1], [2, 2]])


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: ScalingRule(target=0.0),
        lambda: ScalingRule(interval=0.0),
        lambda: ScalingRule(window=20.0),
        lambda: ScalingRule(provisioning=-1.0),
        lambda: ScalingRule(least=5, most=4),
        lambda: ScalingRule(tolerance=-0.1),
        lambda: ChangingPool(WAVE, 0),
        lambda: ChangingPool(WAVE, 3, None, ((2.0, 4), (1.0, 3))),
        lambda: ChangingPool(WAVE, 3, None, ((2.0, 0),)),
        lambda: ChangingPool(WAVE, 3, ScalingRule(), ((2.0, 4),)),
    ],
)
def test_illegal_pools_are_refused(wrong):
    with pytest.raises(ValueError, match=r"must|not both"):
        wrong()
