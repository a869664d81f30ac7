"""A load that goes up and down: the chain by another integrator, limits and balances, the approximation, and the twin.

False-alarm rate of each simulated comparison 1e-6 (`verify`, one run each); see there which error they would see.
"""

import heapq
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate

import scaling_models as sm
from scaling_models import figures
from scaling_models.answers import answer
from scaling_models.montecarlo.kernels.cycles import follow_cycles
from scaling_models.montecarlo.streams import streams_of
from scaling_models.montecarlo.traffic.arrivals import sinusoid
from scaling_models.pools import CentralQueue, TimeVaryingLoad, erlang_c
from scaling_models.pools.formulas.modified_load import Wave, hurry, lag, modified_load, modified_wait
from scaling_models.pools.formulas.time_varying import course, peak

ONE = sm.Exponential(1.0)


def integrated(wave, periods, most):
    """Mean number and P(all busy) at 200 times of the last of many periods from empty, by LSODA."""
    n = np.arange(most + 1)
    down = np.minimum(n, wave.servers).astype(float)

    def slope(t, p):
        up = np.where(n < most, wave.at(t), 0.0)
        change = -(up + down) * p
        change[1:] += (up * p)[:-1]
        change[:-1] += (down * p)[1:]
        return change

    begin = (n == 0).astype(float)
    times = (periods - 1 + np.linspace(0.0, 1.0, 201)[1:]) * wave.period
    options = {"method": "LSODA", "rtol": 1e-8, "atol": 1e-12, "lband": 1, "uband": 1, "max_step": wave.period / 20}
    found = integrate.solve_ivp(slope, (0.0, periods * wave.period), begin, t_eval=times, **options).y
    return times - (periods - 1) * wave.period, n @ found, found[n >= wave.servers].sum(axis=0)


CASES = [
    (Wave(20, 14.0, 0.3, 10.0), 6, 130),
    (Wave(20, 14.0, 0.5, 50.0), 3, 240),
    (Wave(1, 0.7, 0.5, 10.0), 40, 90),
    (Wave(3, 2.4, 1.0, 1.0), 200, 200),
]


@pytest.mark.parametrize(("wave", "periods", "most"), CASES)
def test_the_course_is_that_of_the_forward_equations(wave, periods, most):
    times, number, waiting = integrated(wave, periods, most)
    found = course(wave)
    at = times % wave.period
    np.testing.assert_allclose(found.along(found.in_system())(at), number, rtol=1e-4)
    np.testing.assert_allclose(found.along(found.waiting(wave.servers))(at), waiting, atol=5e-5)


WAVES = st.builds(
    lambda c, r, a, p: Wave(c, r * c, a, p),
    st.integers(1, 40),
    st.floats(0.1, 0.85),
    st.floats(0.05, 0.6),
    st.floats(0.1, 100.0),
)


@settings(max_examples=15, deadline=None)
@given(WAVES)
def test_what_comes_in_a_period_goes_in_it(wave):
    """The mean number of busy servers is the mean load; and of infinitely many it would be the modified load."""
    found = course(wave)
    rates = wave.at(found.times)
    weights = found.shares / rates / (found.shares / rates).sum()  # of the times themselves
    busy = found.chances @ np.minimum(found.requests, wave.servers)
    assert weights @ busy == pytest.approx(wave.load, rel=1e-5)
    np.testing.assert_allclose(found.chances.sum(axis=1), 1.0, atol=1e-8)
    roomy = wave._replace(servers=math.ceil(wave.load * 3 + 60))
    found = course(roomy)
    np.testing.assert_allclose(found.in_system(), modified_load(roomy, found.times), rtol=2e-5)
    at, height = peak(found, found.in_system())
    assert height == pytest.approx(modified_load(roomy, wave.period / 4 + lag(roomy)), rel=2e-5)
    assert at == pytest.approx(wave.period / 4 + lag(roomy), abs=2e-3 * wave.period)


def test_the_modified_load_solves_its_equation():
    wave = Wave(20, 14.0, 0.3, 10.0)
    t, h = np.linspace(0.0, 10.0, 50), 1e-5
    slope = (modified_load(wave, t + h) - modified_load(wave, t - h)) / (2 * h)
    np.testing.assert_allclose(slope, wave.at(t) - modified_load(wave, t), atol=1e-8)


def test_a_slow_wave_is_a_row_of_steady_states_and_a_fast_one_is_none():
    slow, fast = (course(Wave(20, 14.0, 0.3, period)) for period in (1e7, 1e-3))
    steady = erlang_c(20, 14.0 * (1 + 0.3 * np.sin(np.linspace(0, 2 * np.pi, 2001)[:-1])))
    shares = 1 + 0.3 * np.sin(np.linspace(0, 2 * np.pi, 2001)[:-1])
    assert slow.shares @ slow.waiting(20) == pytest.approx((shares * steady).sum() / 2000, rel=1e-5)
    assert peak(slow, slow.waiting(20))[1] == pytest.approx(erlang_c(20, 18.2), rel=1e-5)
    assert fast.shares @ fast.waiting(20) == pytest.approx(erlang_c(20, 14.0), rel=1e-4)


def test_no_wave_is_a_central_queue():
    flat, queue = TimeVaryingLoad(amplitude=0.0), CentralQueue(140.0, 20, sm.Exponential(0.1))
    for one, other in ((flat.latency, queue.latency), (flat.latency_at_peak, queue.latency)):
        np.testing.assert_allclose(one.percentiles(50, 99, 99.9), other.percentiles(50, 99, 99.9), rtol=1e-9)
    assert flat.probability_of_wait == pytest.approx(queue.probability_of_wait, rel=1e-9)
    assert flat.peak_in_flight == pytest.approx(queue.in_flight, rel=1e-9)
    assert flat.lag == 0.0
    nearly = TimeVaryingLoad(amplitude=1e-3)
    assert nearly.latency.icdf(0.999) == pytest.approx(flat.latency.icdf(0.999), rel=1e-5)


def test_workers_and_servers_are_slots_and_time_scales():
    one, other = TimeVaryingLoad(140.0, 5, workers=4), TimeVaryingLoad(14.0, 20, ONE, amplitude=0.3, period=100.0)
    assert one.latency.mean() == pytest.approx(other.latency.mean() / 10, rel=1e-9)
    assert one.lag == pytest.approx(other.lag / 10, rel=1e-6)


def test_what_the_average_hides():
    day = TimeVaryingLoad()
    assert day.wait_at_constant_load == pytest.approx(erlang_c(20, 14.0))
    assert day.peak_probability_of_wait > 5 * day.wait_at_constant_load
    assert day.peak_probability_of_wait < day.pointwise_peak
    assert day.in_flight == pytest.approx(140.0 * day.latency.mean())
    assert 0.1 < day.lag < 1.0
    course = day.course(np.linspace(0.0, 10.0, 400))
    assert course["exact"].max() == pytest.approx(day.peak_probability_of_wait, rel=1e-4)
    assert course["arrivals"].max() == pytest.approx(182.0, rel=1e-4)


LARGE = [
    (200, 0.9, 0.1, 100.0),
    (200, 0.95, 0.1, 100.0),
    (200, 0.95, 0.1, 1000.0),
    (800, 0.9, 0.1, 20.0),
    (50, 0.9, 0.5, 100.0),
]


@pytest.mark.parametrize(("slots", "top", "amplitude", "period"), LARGE)
def test_the_modified_offered_load_is_as_near_as_it_says(monkeypatch, slots, top, amplitude, period):
    flattened = amplitude / math.sqrt(1 + (2 * math.pi / period) ** 2)
    exact = TimeVaryingLoad(slots * top / (1 + flattened), slots, ONE, amplitude=amplitude, period=period)
    answers = {name: getattr(exact, name) for name in ("probability_of_wait", "peak_probability_of_wait", "in_flight")}
    answers |= {"wait": exact.wait.mean(), "latency": exact.latency.icdf(0.99), "peak_in_flight": exact.peak_in_flight}
    answers |= {"latency_at_peak": exact.latency_at_peak.icdf(0.99)}
    assert exact.accuracy("wait").label == "exact"
    monkeypatch.setattr("scaling_models.pools.bases.waving_pool.MOST_STATES", 0)
    rough = exact.replace()
    with pytest.raises(sm.NoClosedForm, match="lag"):
        rough.lag  # noqa: B018
    assert rough.accuracy("lag").label == rough.accuracy("wait", 1.0 - rough.probability_of_wait).label == "simulated"
    late = 1.0 - exact.probability_of_wait / 4.0
    assert rough.wait.icdf(late) == pytest.approx(exact.wait.icdf(late), rel=rough.accuracy("wait", late).error)
    for name, expected in answers.items():
        accuracy, found = rough.accuracy(name), getattr(rough, name)
        if isinstance(found, sm.latency.Distribution):
            found = found.mean() if name == "wait" else found.icdf(0.99)
        assert accuracy.label in ("within 3%", "within 15%")
        assert abs(found / expected - 1) <= accuracy.error, name


def by_events(flow, slots, begin, end, seed):
    """Waits of those that come in [begin, end), and when each request came and left, one lane by a heap."""
    state, arrivals, services, block = flow.start(1, streams_of(seed, 0)), [0.0], [], 1
    while arrivals[-1] < end:
        work, gaps, state = flow.draw(state, streams_of(seed, block), 512)
        arrivals += (arrivals[-1] + np.cumsum(gaps[:, 0])).tolist()
        services += work[:, 0].tolist()
        block += 1
    free, waits, stays = [0.0] * slots, [], []
    heapq.heapify(free)
    for now, work in zip(arrivals[1:], services, strict=True):
        start = max(now, heapq.heappop(free))
        heapq.heappush(free, start + work)
        stays.append((now, start + work))
        if begin <= now < end:
            waits.append(start - now)
    return waits, stays


def test_a_lane_equals_the_heap_of_events():
    flow, looks, cycles = sinusoid(7.0, 0.6, 20.0, sm.LogNormal(1.0, 2.0)), 12, 7
    waits, stays = by_events(flow, 8, 40.0, 180.0, 5)
    found = follow_cycles(flow, 8, 1, 2, cycles, looks, 5)
    assert found.wait.size == len(waits) == found.came.sum()
    assert found.wait.mean() == pytest.approx(np.mean(waits), rel=1e-12)
    assert found.waited.sum() == np.count_nonzero(waits)
    times = 40.0 + np.arange(looks * cycles) * 20.0 / looks
    there = [sum(come <= time < leave for come, leave in stays) for time in times]
    assert found.in_system[0].tolist() == np.reshape(there, (cycles, looks)).sum(axis=0).tolist()


TWINS = [
    TimeVaryingLoad(0.7, 1, ONE, amplitude=0.5, period=10.0),
    TimeVaryingLoad(14.0, 20, ONE, amplitude=0.5, period=50.0),
    TimeVaryingLoad(2.4, 3, ONE, amplitude=1.0, period=1.0),
]


@pytest.mark.slow
@pytest.mark.parametrize("model", TWINS, ids=repr)
def test_the_twin_agrees(model):
    table = sm.verify(model, 1_000_000, seed=2).set_index("quantity")
    assert (table.verdict != "disagrees").all(), table.to_string()
    assert table.loc["peak_probability_of_wait", "smallest_error"] < 0.1
    assert table.loc["latency p50", "smallest_error"] < 0.1


class Wrong(TimeVaryingLoad):
    """Three per cent too many wait."""

    @answer("", "a share that is wrong")
    def probability_of_wait(self) -> float:
        """Off by three per cent."""
        return 1.03 * TimeVaryingLoad.probability_of_wait.compute(self)


@pytest.mark.slow
def test_a_formula_three_per_cent_wrong_fails():
    table = sm.verify(Wrong(0.7, 1, ONE, amplitude=0.5, period=10.0), seed=2).set_index("quantity")
    assert table.loc["probability_of_wait", "verdict"] == "disagrees"


def test_edges():
    full = TimeVaryingLoad(250.0)
    assert full.latency == full.wait == full.latency_at_peak == sm.Never()
    assert full.peak_probability_of_wait == full.probability_of_wait == 1.0
    assert math.isnan(full.lag)
    assert full.peak_in_flight == math.inf
    with pytest.raises(sm.NotSettled):
        full.simulate(1000)
    long = TimeVaryingLoad(amplitude=0.6, period=86_400.0)
    with pytest.raises(sm.NoClosedForm, match="the queue outlasts its peak"):
        long.latency  # noqa: B018
    assert long.accuracy("latency").label == "simulated"
    assert long.accuracy("peak_utilization").label == "exact"
    with pytest.raises(ValueError, match="too long to be simulated"):
        long.simulate(1000)
    with pytest.raises(sm.NoClosedForm, match="exponential service only"):
        TimeVaryingLoad(service=sm.LogNormal(0.1, 4.0)).latency  # noqa: B018
    with pytest.raises(ValueError, match="amplitude must lie in"):
        TimeVaryingLoad(amplitude=1.1)
    with pytest.raises(ValueError, match="takes no gaps"):
        TimeVaryingLoad().simulate(10, gaps=ONE)
    with pytest.raises(ValueError, match="load must lie in"):
        course(Wave(20, 20.0, 0.1, 10.0))
    assert hurry(Wave(20, 19.0, 0.5, 1e4)) == math.inf
    assert modified_wait(Wave(20, 19.0, 0.5, 1e4), 2500.0) == 1.0


def test_the_figure_says_both():
    small, large = figures.wave(TimeVaryingLoad()), figures.wave(TimeVaryingLoad(amplitude=0.6, period=86_400.0))
    assert [trace.name for trace in small.data] == [trace.name for trace in large.data]
    assert "56% of the requests wait at the worst moment; the mean load promises 9%" in small.layout.title.text
    assert np.isnan(np.array(large.data[2].y, dtype=float)).all()


def test_services_without_an_end_overload():
    model = TimeVaryingLoad(service=sm.Never())
    assert model.wait_at_constant_load == model.pointwise_peak == model.peak_probability_of_wait == 1.0
