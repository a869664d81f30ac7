"""Pools: two exact routes agree, limits hold, Little's law, overload, refusals."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import scaling_models as sm
from scaling_models.pools import CentralQueue, RandomSplit, erlang_b, erlang_c


def erlang_b_by_recursion(servers, offered_load):
    """1/B_k = 1 + k/(a B_{k-1}), B_0 = 1: the textbook's other route, stable upwards."""
    inverse = 1.0
    for k in range(1, servers + 1):
        inverse = 1.0 + k / offered_load * inverse
    return 1.0 / inverse


@pytest.mark.parametrize("servers", [1, 2, 7, 15, 16, 100, 3000, 100_000, 1_000_000])
@pytest.mark.parametrize("load", [0.5, 0.98, 0.9999, 1.0, 1.3])
def test_erlang_b_agrees_with_its_recursion(servers, load):
    a = load * servers
    vanishes = load < 1 and servers * (1 - load) ** 2 > 500
    expected = 0.0 if vanishes else erlang_b_by_recursion(servers, a)
    # Below 1e-300 the recursion overflows; the formula says zero or next to it.
    assert erlang_b(servers, a) == pytest.approx(expected, rel=1e-9, abs=1e-100)


def test_erlang_c_for_a_million_servers():
    servers = 1_000_000
    for a in (servers - 10.0, servers - 2000.0):
        b = erlang_b_by_recursion(servers, a)
        r = a / servers
        assert erlang_c(servers, a) == pytest.approx(b / (1 - r * (1 - b)), rel=1e-9)
    assert erlang_c(servers, 999_000.0) == pytest.approx(0.22330339, abs=1e-8)


def test_erlang_formulas_broadcast_and_refuse():
    assert erlang_b(np.arange(1, 4)[:, None], np.array([0.5, 1.0])).shape == (3, 2)
    assert erlang_b(0, 1.0) == pytest.approx(1.0, rel=1e-14)
    assert erlang_b(3, 0.0) == 0.0
    assert erlang_c(2, 2.5) == 1.0
    far = erlang_b([1, 5, 50], [1e3, 1e4, 1e6])
    np.testing.assert_allclose(
        far, [erlang_b_by_recursion(c, a) for c, a in ((1, 1e3), (5, 1e4), (50, 1e6))], rtol=1e-10
    )
    with pytest.raises(ValueError, match=r"offered_load must lie in \[0, inf\) erlangs; got"):
        erlang_b(1, -1.0)
    with pytest.raises(ValueError, match="servers must lie"):
        erlang_c(0, 1.0)


def test_the_textbook_pool():
    pool = CentralQueue(9.0, 10, sm.Exponential(1.0))
    assert pool.wait.mean() == pytest.approx(0.668731524, abs=1e-9)
    assert pool.latency.mean() == pytest.approx(1.668731524, abs=1e-9)
    assert pool.in_flight == pytest.approx(9.0 * pool.latency.mean())
    assert (pool.utilization, pool.offered_load) == (pytest.approx(0.9), pytest.approx(9.0))


POOLS = st.builds(
    lambda servers, workers, load, mean: CentralQueue(
        load * servers * workers / mean, servers, sm.Exponential(mean), workers
    ),
    st.integers(1, 60),
    st.integers(1, 8),
    st.floats(0.05, 0.98),
    st.floats(1e-3, 10.0),
)


@given(POOLS)
@settings(max_examples=40, deadline=None)
def test_latency_is_wait_plus_service_by_two_routes(pool):
    algebra = pool.wait + pool.service
    t = pool.latency.icdf([0.1, 0.5, 0.99, 0.999999])
    np.testing.assert_allclose(pool.latency.ccdf(t), algebra.ccdf(t), rtol=1e-7)
    assert pool.latency.mean() == pytest.approx(algebra.mean())
    assert pool.latency.variance() == pytest.approx(algebra.variance())
    many = type(pool.latency).icdf_of([pool.latency, pool.latency], np.array([0.5, 0.99]))
    np.testing.assert_allclose(many, [pool.latency.icdf([0.5, 0.99])] * 2, rtol=1e-9)


@given(st.floats(0.05, 0.98), st.integers(1, 30))
@settings(max_examples=30, deadline=None)
def test_one_server_is_m_m_1_and_so_is_a_random_split(load, servers):
    exact = sm.Exponential(0.01 / (1 - load))
    split = RandomSplit(load * servers / 0.01, servers).latency
    single = CentralQueue(load / 0.01, 1).latency
    for latency in (split, single):
        np.testing.assert_allclose(latency.icdf([0.5, 0.99, 0.999]), exact.icdf([0.5, 0.99, 0.999]), rtol=1e-8)
        t = np.linspace(0, exact.icdf(0.999), 20)
        np.testing.assert_allclose(latency.pdf(t), exact.pdf(t), rtol=1e-9)


def test_in_flight_is_the_mean_of_the_birth_death_chain():
    """Little's law against the stationary distribution, summed state by state."""
    a, servers = 7.0, 10
    k = np.arange(0, 2000)
    weights = np.where(
        k < servers, stats.poisson.pmf(k, a), stats.poisson.pmf(servers, a) * (a / servers) ** (k - servers)
    )
    chain = (weights * k).sum() / weights.sum()
    assert CentralQueue(7.0, servers, sm.Exponential(1.0)).in_flight == pytest.approx(chain, rel=1e-10)


@pytest.mark.parametrize("kind", [CentralQueue, RandomSplit])
@pytest.mark.parametrize("rate", [1000.0, 1500.0])
@pytest.mark.parametrize("service", [sm.Exponential(0.01), sm.LogNormal(0.01, 2.0)], ids=["exponential", "lognormal"])
def test_overload_is_an_answer(kind, rate, service):
    pool = kind(rate, 10, service)
    assert pool.utilization == pytest.approx(rate / 1000)
    assert pool.probability_of_wait == 1.0
    assert pool.latency == sm.Never()
    assert pool.in_flight == math.inf
    assert np.isinf(pool.wait.percentiles()).all()
    with pytest.raises(sm.NotSettled, match="no steady state"):
        pool.simulate(1000)
    with pytest.raises(ValueError, match="overloaded"):
        pool.timeline()


@pytest.mark.parametrize(
    "service",
    [
        stats.expon(scale=0.01),
        sm.Exponential(0.005) * 2,
        sm.Erlang(0.01, 1),
        sm.Hyperexponential(0.01, 1.0),
        sm.mixture((0.3, 0.7), (sm.Exponential(0.01), sm.Exponential(0.01))),
    ],
    ids=lambda service: type(service).__name__,
)
def test_an_exponential_by_another_name_is_exponential(service):
    latency = CentralQueue(800.0, 10, service).latency
    assert latency.icdf(0.99) == pytest.approx(CentralQueue(800.0, 10).latency.icdf(0.99), rel=1e-9)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: CentralQueue(service=sm.Exponential), "service must be a latency"),
        (lambda: CentralQueue(service=stats.expon), "service must be a latency"),
        (
            lambda: CentralQueue().simulate(requests=0),
            r"CentralQueue.simulate: requests must be a whole number in \[1, 10000000000\]; got 0",
        ),
        (lambda: RandomSplit().simulate(requests=1.5e5), "got 150000.0"),
        (lambda: CentralQueue(9e5, 10_000).simulate(), "10,000 slots is too large to simulate"),
        (lambda: sm.quorums.Raft().simulate(requests=-5), "got -5"),
        (lambda: CentralQueue().replay([2.0, 1.0], [1.0, 1.0]), "ascending"),
        (lambda: CentralQueue().replay([1.0, 2.0], [1.0, -1.0]), "demands must be finite"),
        (lambda: CentralQueue().replay([1.0, 2.0], [1.0]), "one length"),
        (lambda: sm.verify(CentralQueue), "verify must be given a model"),
        (lambda: sm.compare(CentralQueue()), "list of models"),
        (lambda: sm.sweep(CentralQueue(), "servers", []), "one value"),
        (lambda: sm.sweep(CentralQueue(), "servers", 10), "a list of values"),
        (lambda: sm.validate(CentralQueue(), [0.1] * 100), "must be given a distribution"),
        (lambda: sm.slowest(), "one latency at least"),
        (lambda: CentralQueue().simulate(2000).latency.icdf(99), r"must lie in \[0, 1\]; got 99"),
    ],
)
def test_mistakes_are_told_in_a_sentence(call, said):
    with pytest.raises(ValueError, match=said):
        call()


@pytest.mark.parametrize(
    ("kind", "service"), [(CentralQueue, sm.Pareto(0.01, 1.9)), (RandomSplit, sm.LogNormal(0.01, 1))]
)
def test_other_services_have_no_closed_form_yet_but_can_be_simulated(kind, service):
    pool = kind(500.0, 5, service, workers=2)
    with pytest.raises(sm.NoClosedForm, match="simulate it"):
        _ = pool.latency
    assert pool.accuracy("latency").label == "simulated"
    assert pool.accuracy("utilization").label == "exact"
    table = sm.verify(pool, requests=400_000)
    assert list(table.quantity) == ["utilization", "offered_load"]


def test_what_bursts_do_to_the_formula():
    """The twin can break the assumption of Poisson arrivals: then the formula is optimistic, as it says."""
    pool = CentralQueue(700.0, 10)
    bursty = pool.simulate(400_000, seed=1, gaps=sm.Hyperexponential(1.0, 10))
    low, _ = bursty.latency.mean_interval(0.999)
    assert low > 1.2 * pool.latency.mean()
    assert any("optimistic" in str(said) and "Poisson" in said.says for said in pool.assumptions("latency"))


def test_a_replayed_trace_is_the_queue_by_hand():
    pool = CentralQueue(1.0, 2, sm.Exponential(1.0))
    arrivals, demands = np.array([0.0, 1.0, 2.0, 3.0]), np.array([5.0, 5.0, 1.0, 1.0])
    np.testing.assert_allclose(pool.replay(arrivals, demands), [5.0, 5.0, 4.0, 4.0])
    np.testing.assert_allclose(pool.replay(arrivals, demands, oversleep=1.0, overhead=0.5), [6.5, 6.5, 6.5, 6.5])


@pytest.mark.parametrize(
    ("pool", "smallest"),
    [(RandomSplit(300.0, 10), 1e-9), (CentralQueue(50.0, 1), 1e-9), (CentralQueue(100.0, 3), 1e-6)],
    ids=["random split", "one server", "three"],
)
def test_far_tails_agree_with_the_closed_form(pool, smallest):
    """At one in ten thousand of false alarms each; what would be seen is stated by the error."""
    tail = pool.far_tail(seed=1, smallest=smallest)
    for p in (1e-4, smallest * 10):
        t = float(pool.latency.iccdf(p))
        found = tail.ccdf_estimate(t)
        assert found.error < 0.2 * p
        low, high = found.interval(1 - 1e-4)
        assert low < p < high


def test_far_tails_refuse_what_they_cannot_do():
    with pytest.raises(ValueError, match="splitting"):
        CentralQueue(50.0, 1, sm.LogNormal(0.01, 4.0)).far_tail()
    with pytest.raises(sm.NotSettled):
        CentralQueue(1200.0, 10).far_tail()


def test_least_work_left_is_the_central_queue_path_by_path():
    one, other = (kind(800.0, 5, sm.LogNormal(0.01, 4.0), 2) for kind in (CentralQueue, sm.LeastWorkLeft))
    rng = np.random.default_rng(2)
    arrivals, demands = np.cumsum(rng.exponential(1 / 800.0, 20_000)), one.service.sample(20_000, rng=rng)
    found = [each.replay(arrivals, demands) for each in (one, other)]
    assert (found[0] > demands + 1e-3).mean() > 0.1  # some wait
    np.testing.assert_allclose(*found, rtol=1e-9)


@pytest.mark.parametrize("discipline", ["fifo", "sharing"])
@pytest.mark.parametrize("kind", [sm.RoundRobin, sm.PowerOfChoices, sm.LeastConnections, sm.JoinIdleQueue])
def test_one_server_is_one_queue_whatever_the_policy(kind, discipline):
    """M/M/1, whose mean is the same under sharing; one in a million of false alarms each."""
    found = kind(50.0, 1, discipline=discipline).simulate(400_000, seed=3)
    low, high = found.latency.mean_interval(1 - 1e-6)
    assert low < 0.02 < high
    assert high - low < 0.004
    low, high = found.utilization.interval(1 - 1e-6)
    assert low < 0.5 < high


@pytest.mark.parametrize("kind", [sm.PowerOfChoices, sm.LeastConnections, sm.JoinIdleQueue])
def test_policies_without_a_formula_say_so_and_can_be_watched(kind):
    pool = kind(800.0, 10, sm.LogNormal(0.01, 4.0))
    assert pool.accuracy("latency").label == "simulated"
    assert pool.accuracy("utilization").label == "exact"
    with pytest.raises(sm.NoClosedForm, match="simulate it"):
        pool.latency  # noqa: B018
    assert kind(1000.0, 10).latency == sm.Never()
    for discipline in ("fifo", "sharing"):
        told = kind(800.0, 10, discipline=discipline).timeline(seed=1)
        line = told.lines["requests in the pool"]
        assert line.max() > 500
        assert line[-1] < 100
