"""Rolling deploys: against a heap of events on the same numbers, and against queues they must equal."""

import collections
import heapq
import math

import numpy as np
import pytest

import scaling_models as sm
from scaling_models.montecarlo.kernels.autoscaling import ChangingPool
from scaling_models.montecarlo.kernels.deploys import CHOICES, RollingDeploy, deploy_waits
from scaling_models.montecarlo.kernels.queues import central_waits
from scaling_models.montecarlo.kernels.timelines import area_at, drawn_until
from scaling_models.montecarlo.streams import stream
from scaling_models.montecarlo.traffic.arrivals import Renewal, sinusoid

ONE = sm.Exponential(1.0)
POISSON = Renewal(sm.Exponential(1 / 7.0), ONE)


def event_by_event(arrivals, services, choices, deploy, times):
    """One lane by a heap of events: waits, latencies, slots, and (in flight, busy time) at times."""
    down = [deploy.begin + i // deploy.at_once * (deploy.away + deploy.pause) for i in range(deploy.servers)]
    down = [time for time in down for _ in range(deploy.workers)]
    slots = len(down)
    events = [(t, 2, n) for n, t in enumerate(arrivals)] + [(t, 9, 0) for t in times]
    events += [(t, 1, i) for i, t in enumerate(down)] + [(t + deploy.away, 1, i) for i, t in enumerate(down)]
    heapq.heapify(events)
    busy, queue, looks = [False] * slots, collections.deque(), []
    waits, latencies, places, used, now = {}, {}, {}, 0.0, 0.0

    def begin(n, i):
        cold = down[i] + deploy.away <= now < down[i] + deploy.away + deploy.warm_up
        lasts = services[n] * (deploy.slowdown if cold else 1.0)
        waits[n], latencies[n], places[n], busy[i] = now - arrivals[n], now - arrivals[n] + lasts, i, True
        heapq.heappush(events, (now + lasts, 0, i))

    while events:
        then, kind, which = heapq.heappop(events)
        used += (then - now) * sum(busy)
        now = then
        if now > times[-1]:
            break
        idle = [i for i in range(slots) if not busy[i] and not down[i] <= now < down[i] + deploy.away]
        if kind == 0:
            busy[which] = False
            if queue and not down[which] <= now < down[which] + deploy.away:
                begin(queue.popleft(), which)
        elif kind == 1 and queue and which in idle:
            begin(queue.popleft(), which)
        elif kind == 2 and idle:
            begin(which, idle[int(choices[which] * len(idle))])
        elif kind == 2:
            queue.append(which)
        elif kind == 9:
            looks.append((len(queue) + sum(busy), used))
    return waits, latencies, places, np.array(looks)


DEPLOYS = [
    RollingDeploy(POISSON, 10, 5.0, 3.0),
    RollingDeploy(POISSON, 5, 5.0, 2.0, workers=2, at_once=2, pause=1.0, warm_up=4.0, slowdown=1.7),
    RollingDeploy(POISSON, 8, 0.0, 0.25, at_once=8, warm_up=10.0, slowdown=2.0),
    RollingDeploy(Renewal(sm.Exponential(1 / 7.0), sm.LogNormal(1.0, 6.0)), 4, 3.0, 4.0, 3, 2, 0.0, 2.0, 3.0),
]


@pytest.mark.parametrize("deploy", DEPLOYS)
def test_a_lane_equals_the_heap_of_events(deploy):
    times = np.arange(0.6, 40.0, 1.7)
    run = deploy.follow(times, 4, seed=6)
    services, arrivals = drawn_until(deploy.flow, times[-1], 4, 6)
    choices, slots = stream(6, CHOICES).random(services.shape), deploy.requests(times[-1], 4, 6)[3]
    slot_time = np.diff(deploy._slot_time(times), prepend=0.0)
    for lane in range(4):
        waits, latencies, places, looks = event_by_event(
            arrivals[:, lane], services[:, lane], choices[:, lane], deploy, times
        )
        np.testing.assert_array_equal(slots[list(places), lane], list(places.values()))
        started = ~np.isnan(run.waits[:, lane])
        assert started.sum() == len(waits)
        np.testing.assert_allclose(run.waits[started, lane], [waits[n] for n in sorted(waits)], atol=1e-9)
        np.testing.assert_allclose(run.latencies[started, lane], [latencies[n] for n in sorted(waits)], atol=1e-9)
        np.testing.assert_array_equal(run.in_flight[:, lane], looks[:, 0])
        busy = np.diff(looks[:, 1], prepend=0.0)
        whole = slot_time > 0
        np.testing.assert_allclose(run.utilization[whole, lane], busy[whole] / slot_time[whole], atol=1e-9)
    assert run.slots.min() < deploy.servers * deploy.workers or deploy.begin == 0
    assert (run.ordered == deploy.servers * deploy.workers).all()


def test_without_absence_it_is_a_central_queue():
    deploy = RollingDeploy(POISSON, 4, 5.0, 0.0, workers=2)
    run = deploy.follow(np.array([0.0, 40.0]), 5, seed=2)
    services, arrivals = drawn_until(POISSON, 40.0, 5, 2)
    waits, _ = central_waits(services, np.diff(arrivals, axis=0, prepend=0.0), np.zeros((8, 5)))
    told = ~np.isnan(run.waits)
    np.testing.assert_allclose(run.waits[told], waits[told], atol=1e-9)
    np.testing.assert_allclose(run.latencies[told], (waits + services)[told], atol=1e-9)
    assert np.isnan(run.utilization[0]).all()


def test_servers_that_stay_cold_are_slow_servers():
    deploy = RollingDeploy(Renewal(sm.Exponential(0.3), ONE), 8, 0.0, 0.0, at_once=8, warm_up=math.inf, slowdown=1.5)
    run = deploy.follow(np.array([60.0]), 5, seed=2)
    services, arrivals = drawn_until(deploy.flow, 60.0, 5, 2)
    waits, _ = central_waits(1.5 * services, np.diff(arrivals, axis=0, prepend=0.0), np.zeros((8, 5)))
    told = ~np.isnan(run.waits)
    np.testing.assert_allclose(run.waits[told], waits[told], atol=1e-9)


def test_all_away_at_once_make_everybody_wait_for_the_return():
    deploy = RollingDeploy(POISSON, 12, 10.0, 2.0, at_once=12)
    run = deploy.follow(np.array([11.9, 30.0]), 200, seed=1)
    inside = (run.arrivals > 10.0) & (run.arrivals < 12.0)
    assert (run.waits[inside] >= 12.0 - run.arrivals[inside] - 1e-9).all()
    assert (run.slots[0] == 0).all()
    # Nobody is served, but those that were there go on: M/G/inf at load 7, nearly, and 1.9 s of arrivals.
    expected = 7.0 * math.exp(-1.9) + 7.0 * 1.9
    error = run.in_flight[0].std(ddof=1) / math.sqrt(200)
    assert abs(run.in_flight[0].mean() - expected) < 6.0 * error
    assert 6.0 * error < 0.12 * expected


def test_a_deploy_hurts_only_while_it_lasts_and_the_cold_hurt_more():
    wave = sinusoid(14.0, 0.2, 30.0, ONE)
    quiet = ChangingPool(wave, 18).follow(np.array([80.0]), 300, seed=4)
    plain = RollingDeploy(wave, 9, 20.0, 2.0, workers=2).follow(np.array([80.0]), 300, seed=4)
    cold = RollingDeploy(wave, 9, 20.0, 2.0, 2, warm_up=4.0, slowdown=1.5).follow(np.array([80.0]), 300, seed=4)

    def mean(run, begin, end):
        return np.nanmean(np.where((run.arrivals > begin) & (run.arrivals < end), run.latencies, math.nan))

    assert mean(quiet, 0, 20) == pytest.approx(mean(plain, 0, 20), rel=1e-3)  # the same numbers, but for the ends
    assert mean(quiet, 20, 38) < mean(plain, 20, 38) - 0.02 < mean(cold, 20, 38) - 0.2
    assert mean(quiet, 60, 78) == pytest.approx(mean(plain, 60, 78), rel=0.01)


def test_area_and_starts_keep_their_order():
    moments = np.array([[0.5, 3.0], [2.0, 1.0]])
    np.testing.assert_allclose(area_at(moments, np.array([1.0, 2.5])), [[0.5, 0.0], [2.5, 1.5]])
    rng = np.random.default_rng(3)
    services, gaps = rng.exponential(1.0, (500, 20)), rng.exponential(0.2, (500, 20))
    arrivals, down = np.cumsum(gaps, axis=0), 10.0 * np.arange(6.0)
    waits, _ = deploy_waits(services, arrivals, rng.random((500, 20)), down, down + 9.0, down + 15.0, 2.0)
    assert (np.diff(arrivals + waits, axis=0) >= -1e-12).all()


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: RollingDeploy(POISSON, 0, 1.0, 1.0),
        lambda: RollingDeploy(POISSON, 3, 1.0, -1.0),
        lambda: RollingDeploy(POISSON, 3, 1.0, math.nan),
        lambda: RollingDeploy(POISSON, 3, 1.0, 1.0, slowdown=0.0),
    ],
)
def test_illegal_deploys_are_refused(wrong):
    with pytest.raises(ValueError, match="must lie in"):
        wrong()
