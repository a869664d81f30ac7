"""Clients that retry: fates by two routes, the states that sustain themselves, remedies, and the twin.

False alarms of the comparisons with simulation: 1e-6 each (`verify`), three of them; seeds are fixed.
"""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lanes import assert_agrees, ratio, run
from scipy import optimize, special, stats

import scaling_models as sm
from scaling_models import figures
from scaling_models.answers import answer
from scaling_models.montecarlo.kernels.losses import Loss
from scaling_models.montecarlo.traffic.arrivals import Renewal
from scaling_models.pools import CentralQueue, RetryingClients, erlang_b
from scaling_models.pools.formulas.balance import Balance
from scaling_models.pools.formulas.retries import Fates, fates, sends
from scaling_models.pools.times.within import Within

POOL = RetryingClients()
RATES = st.floats(0.05, 3.0)
WORKERS = st.integers(1, 40)
TIMEOUTS = st.floats(0.2, 20.0)


@given(st.floats(0.05, 0.99), WORKERS, TIMEOUTS)
@settings(max_examples=40, deadline=None)
def test_without_limits_it_is_the_central_queue(load, workers, timeout):
    pool = CentralQueue(load * workers, workers, sm.Exponential(1.0))
    assert fates(load * workers, workers, 1.0, timeout).timed_out == pytest.approx(pool.latency.ccdf(timeout), rel=1e-9)


def by_the_chain(rate, workers, timeout, limit):
    """M/M/c/K state by state, the response by a sum over what is ahead."""
    weights = [1.0]
    for n in range(workers + limit):
        weights.append(weights[-1] * rate / min(n + 1, workers))
    shares = np.array(weights) / sum(weights)
    late = 0.0
    for n in range(workers + limit):
        ahead = n - workers + 1
        # P(Erlang(k, c) + Exp(1) > t) = int f_Exp(s) P(Erlang > t - s) ds + P(Exp > t), by quadrature.
        if ahead <= 0:
            late += shares[n] * math.exp(-timeout)
            continue
        x, w = np.polynomial.legendre.leggauss(80)
        s = timeout * (x + 1) / 2
        inner = (np.exp(-s) * special.gammaincc(ahead, workers * (timeout - s))) @ w * timeout / 2
        late += shares[n] * (inner + math.exp(-timeout))
    return late, shares[-1]


@given(RATES, st.integers(1, 12), st.floats(0.2, 6.0), st.integers(0, 20))
@settings(max_examples=15, deadline=None)
def test_a_queue_limit_by_the_chain(load, workers, timeout, limit):
    found = fates(load * workers, workers, 1.0, timeout, queue_limit=limit)
    late, rejected = by_the_chain(load * workers, workers, timeout, limit)
    assert found.timed_out == pytest.approx(late, rel=1e-8, abs=1e-12)
    assert found.rejected == pytest.approx(rejected, rel=1e-9, abs=1e-300)
    assert found.served == pytest.approx(1.0 - rejected, rel=1e-9)


@given(RATES, WORKERS, TIMEOUTS, st.floats(0.0, 5.0))
@settings(max_examples=60, deadline=None)
def test_a_deadline_keeps_the_balance_of_work(load, workers, timeout, deadline):
    """What is served keeps as many workers busy as the distribution of the wait says: two routes to one number."""
    rate, c = load * workers, workers
    found = fates(rate, c, 1.0, timeout, deadline=deadline)
    density = stats.poisson.pmf(np.arange(c), rate)
    drain = c - rate
    below = deadline if abs(drain) < 1e-12 else -math.expm1(-drain * deadline) / drain
    waits = rate * density[-1] * (below + math.exp(-drain * deadline) / c)
    busy = (density @ np.arange(c) + c * waits) / (density.sum() + waits)
    assert rate * found.served == pytest.approx(busy, rel=1e-7)
    assert 0.0 <= found.timed_out <= 1.0


def test_limits_of_a_deadline():
    rates = np.array([1.0, 5.0, 9.0])
    never = fates(rates, 10, 1.0, 3.0, deadline=300.0)
    np.testing.assert_allclose(never.timed_out, fates(rates, 10, 1.0, 3.0).timed_out, rtol=1e-9)
    at_once = fates(rates, 10, 1.0, 3.0, deadline=0.0)
    np.testing.assert_allclose(at_once.served, 1.0 - erlang_b(10, rates), rtol=1e-9)
    np.testing.assert_allclose(1.0 - at_once.timed_out, at_once.served * -math.expm1(-3.0), rtol=1e-9)


@pytest.mark.parametrize("deadline", [0.1, 0.3])
def test_a_deadline_against_the_simulation(deadline):
    flow = Renewal(sm.Exponential(1 / 11.0), sm.Exponential(1.0))
    sums = run(Loss(flow, 10, deadline=deadline), 4000, warm_up=1500)
    served = fates(11.0, 10, 1.0, 2.0, deadline=deadline).served
    assert_agrees(ratio(sums["dropped"], sums["requests"]), 1.0 - served)


def test_sends_by_hand():
    seen = Fates(np.array([0.5]), np.array([0.1]), np.array([0.9]))
    visits, attempts = sends(seen, 2)
    assert visits[0] == pytest.approx(1 + 0.5 + 0.25)
    assert attempts[0] == pytest.approx(1.75 + 0.1 * 2 + 0.5 * 0.1 * 1)  # a rejected one repeats all that is left
    later, same = sends(seen, 2, at_once=False)
    assert later[0] == same[0] == pytest.approx(1 + 0.6 + 0.36)
    assert sends(seen, 2, budget=0.3)[1][0] == pytest.approx(1.3, rel=1e-9)
    assert sends(seen, 0)[1][0] == 1.0


@pytest.mark.parametrize("rate", [2.0, 3.0, 6.0, 9.0, 9.9])
@pytest.mark.parametrize("retries", [1, 3, 7])
@pytest.mark.parametrize("timeout", [2.0, 10.0])
def test_states_are_the_crossings_of_a_plain_search(rate, retries, timeout):
    balance = Balance(rate, 10, 1.0, timeout, retries, float(retries))

    def excess(x):
        p = 1.0 if x >= 10 else CentralQueue(x, 10, sm.Exponential(1.0)).latency.ccdf(timeout)
        return rate * sum(p**i for i in range(retries + 1)) - x

    grid = np.concatenate([np.linspace(rate * 0.999, 9.9, 900), np.linspace(9.9, 10.001, 900)[1:]])
    values = np.array([excess(x) for x in grid])
    turns = np.flatnonzero(np.sign(values[:-1]) != np.sign(values[1:]))
    found = [optimize.brentq(excess, *grid[at : at + 2]) for at in turns]
    if rate * (retries + 1) >= 10:
        found.append(rate * (retries + 1))
    states = [x for x in balance.states if not math.isnan(x)]
    expected = found if len(found) > 1 else found * 2
    assert states == pytest.approx(expected, rel=1e-6)


@given(st.integers(1, 60), st.floats(1.0, 15.0), st.integers(0, 6))
@settings(max_examples=30, deadline=None)
def test_the_fold_is_where_good_states_end(workers, timeout, retries):
    balance = Balance(1.0, workers, 1.0, timeout, retries, float(retries))
    rate, visits = balance.fold
    assert float(balance.fresh(visits)) == pytest.approx(rate, rel=1e-6)
    assert workers / (retries + 1) * (1 - 1e-9) <= rate <= workers * (1 + 1e-9)
    below = Balance(rate * 0.97, workers, 1.0, timeout, retries, float(retries)).states
    above = Balance(rate * 1.03, workers, 1.0, timeout, retries, float(retries)).states
    assert below.low < workers
    assert above.low >= workers * (1 - 1e-9)


def test_the_story_is_foretold():
    assert POOL.can_collapse
    assert POOL.safe_arrival_rate == 250.0
    assert (POOL.collapsed_attempts, POOL.collapsed_goodput) == (1200.0, 0.0)
    assert not POOL.replace(arrival_rate=249.9).can_collapse
    assert POOL.replace(arrival_rate=250.0).can_collapse
    for remedy in (sm.RetryBudget(0.1), sm.QueueLimit(50), sm.DeadlineDrop(0.1)):
        cured = POOL.replace(remedies=(remedy,))
        assert not cured.can_collapse
        assert cured.collapsed_goodput == pytest.approx(cured.goodput)
        assert cured.border == math.inf
    assert POOL.replace(remedies=(sm.Backoff(0.1),)).can_collapse
    assert POOL.replace(remedies=(sm.RetryBudget(0.1),), arrival_rate=920).can_collapse


def test_beyond_the_fold_nothing_is_good():
    gone = POOL.replace(arrival_rate=POOL.fold * 1.01)
    assert gone.goodput == 0.0
    assert gone.latency == sm.Never()
    assert gone.in_flight == math.inf
    assert gone.border == gone.headroom == 0.0
    assert gone.collapsed_attempts == pytest.approx(4 * gone.arrival_rate)
    with pytest.raises(sm.NotSettled, match="no good state"):
        POOL.replace(arrival_rate=1000).simulate(1000)
    with pytest.raises(ValueError, match="overloaded"):
        POOL.replace(arrival_rate=1000).timeline()


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (POOL.replace(service=sm.LogNormal(0.01, 4)), "LogNormal service"),
        (POOL.replace(remedies=(sm.QueueLimit(5), sm.DeadlineDrop(0.1))), "together"),
        (POOL.replace(arrival_rate=0.99 * POOL.fold), "so near the border"),
        (POOL.replace(timeout=0.005), "shorter than the mean service"),
    ],
    ids=["service", "two limits", "border", "short timeout"],
)
def test_what_no_formula_tells(model, said):
    with pytest.raises(sm.NoClosedForm, match=said):
        _ = model.goodput
    assert model.accuracy("goodput").label == "simulated"
    assert model.accuracy("latency", 0.99).label == "simulated"


def test_a_collapse_is_told_for_any_service():
    pool = POOL.replace(service=sm.LogNormal(0.01, 4))
    assert pool.can_collapse
    assert pool.safe_budget == pytest.approx(1000 / 300 - 1)


def test_remedies_are_one_of_a_kind():
    with pytest.raises(ValueError, match="one of a kind"):
        RetryingClients(remedies=(sm.RetryBudget(0.1), sm.RetryBudget(0.2)))
    with pytest.raises(ValueError, match=r"remedies\[0\] must be a remedy, such as RetryBudget\(0.10\)"):
        RetryingClients(remedies=(0.1,))
    with pytest.raises(ValueError, match=r"RetryBudget\.share must lie in"):
        sm.RetryBudget(-0.1)


LASTING = [
    RetryingClients(300.0, 10, sm.Exponential(0.010), 0.1, 3, (sm.RetryBudget(0.1),)),
    RetryingClients(4.0, 10, sm.Exponential(1.0), 4.0, 3, (sm.Backoff(2.0, jitter="full"),)),
    RetryingClients(20.0, 50, sm.Exponential(1.0), 3.0, 1),
]


@pytest.mark.slow
@pytest.mark.parametrize("model", LASTING, ids=["budget", "backoff", "fifty workers"])
def test_both_states_are_those_of_the_simulation(model):
    table = sm.verify(model, requests=400_000, seed=1)
    assert (table.verdict != "disagrees").all(), table.to_string()
    seen = table.set_index("quantity")
    for row in ("attempts", "goodput", "latency mean", "latency p99"):
        assert seen.loc[row, "smallest_error"] < 0.03 + 0.03  # three per cent that are allowed, three that are seen


class Wrong(RetryingClients):
    """Six per cent too much of everything: three more than are allowed."""

    @answer("requests/s", "wrong", RetryingClients.attempts.accuracy)
    def attempts(self):
        """Too many."""
        return 1.07 * RetryingClients.attempts.compute(self)

    @answer("s", "wrong", RetryingClients.latency.accuracy)
    def latency(self):
        """Too long."""
        return RetryingClients.latency.compute(self) * 1.07


@pytest.mark.slow
def test_a_wrong_formula_fails():
    table = sm.verify(Wrong(), requests=400_000, seed=1).set_index("quantity")
    for row in ("attempts", "latency mean", "latency p50", "latency p99"):
        assert table.loc[row, "verdict"] == "disagrees", table.to_string()


@given(st.floats(0.1, 5.0), st.floats(0.05, 20.0))
@settings(max_examples=30, deadline=None)
def test_what_ends_in_time_by_the_whole(mean, limit):
    whole = sm.Exponential(mean)
    part = Within(whole, limit)
    t = limit * np.array([0.0, 0.2, 0.7, 0.999])
    np.testing.assert_allclose(part.cdf(t), whole.cdf(t) / whole.cdf(limit), rtol=1e-9)
    np.testing.assert_allclose(part.ccdf(t), 1 - part.cdf(t), rtol=1e-6, atol=1e-12)
    assert part.ccdf(limit) == 0.0
    r = limit / mean
    expected = mean * (1.0 - r / math.expm1(r)) if r < 700 else mean
    assert part.mean() == pytest.approx(expected, rel=1e-6)
    np.testing.assert_allclose(part.cdf(part.icdf([0.1, 0.5, 0.99])), [0.1, 0.5, 0.99], rtol=1e-8)
    drawn = part.sample(2000, rng=1)
    assert drawn.max() <= limit
    assert abs(drawn.mean() - expected) < 6.0 * math.sqrt(part.variance() / 2000)


def test_a_limit_that_leaves_nothing_is_refused():
    with pytest.raises(ValueError, match="leave something"):
        Within(sm.Deterministic(1.0), 0.5)


def shape(figure):
    return [(each.name, each.mode) for each in figure.data]


STATES = [
    POOL,
    POOL.replace(arrival_rate=100),
    POOL.replace(arrival_rate=980),
    POOL.replace(remedies=(sm.RetryBudget(0.0),)),
    POOL.replace(remedies=(sm.QueueLimit(150),), arrival_rate=800),
    POOL.replace(service=sm.LogNormal(0.01, 4)),
]


@pytest.mark.parametrize("model", STATES, ids=["sick", "safe", "gone", "no retries", "limited", "no formula"])
def test_the_map_has_the_same_traces_in_every_state(model):
    assert shape(figures.load_map(model)) == shape(figures.load_map(POOL))


def test_the_map_shows_the_models_numbers():
    drawn = {each.name: each for each in figures.load_map(POOL).data}
    assert drawn["to the border"].y[-1] == pytest.approx(POOL.border / 10)
    assert drawn["now"].y[0] == pytest.approx(POOL.attempts / 10, rel=1e-3)
    assert min(drawn["can collapse"].x) == pytest.approx(25.0)
    assert max(drawn["can collapse"].x) == pytest.approx(POOL.fold / 10, rel=1e-3)


def test_recoveries_beside_each_other():
    cured = POOL.replace(remedies=(sm.QueueLimit(50),))
    figure = figures.recovery({"sick": POOL, "cured": cured}, "answered in time", beside="requests")
    lines = {each.name: np.array(each.y, dtype=float) for each in figure.data}
    assert lines["sick"][-40:].max() == 0.0
    assert lines["cured"][-40:].mean() > 270
    assert "has not come back" in figure.layout.title.text
    with pytest.raises(ValueError, match="has no line 'nonsense'"):
        figures.recovery({"sick": POOL}, "nonsense")
    with pytest.raises(ValueError, match="one model at least"):
        figures.recovery({}, "attempts")
