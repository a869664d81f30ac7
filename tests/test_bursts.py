"""Bursts: the closed forms against exact chains solved by other routes, limits, and the simulated twins.

The simulated comparisons have a false-alarm rate of 1e-6 each (three of them), and see errors of 3%.
"""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse, stats
from scipy.sparse import linalg

import scaling_models as sm
from scaling_models.answers import answer
from scaling_models.pools import BatchArrivals, CentralQueue, ModulatedArrivals, erlang_c
from scaling_models.pools.formulas.batches import batch_probability_of_wait
from scaling_models.pools.formulas.modulation import modulated_waits
from scaling_models.pools.times.phased import PhasedResponse, PhasedWait

ONE = sm.Exponential(1.0)
LOADS = st.floats(0.05, 0.97)


def batch_chain(servers, load, batch, levels):
    """P(n others are found), level by level: F_n = q F_{n-1} + p_n, p_{n+1} = (lambda / b) F_n / min(n + 1, c)."""
    q = 1.0 - 1.0 / batch
    p, found = 1.0, [1.0]
    for n in range(levels):
        p = load / batch * found[-1] / min(n + 1, servers)
        found.append(q * found[-1] + p)
    return np.array(found) / math.fsum(found)


@pytest.mark.parametrize("servers", [1, 2, 10, 60])
@pytest.mark.parametrize("batch", [1.0, 1.001, 1.5, 4.0, 20.0])
@pytest.mark.parametrize("load", [0.3, 0.7, 0.95])
def test_batches_equal_their_chain_summed_level_by_level(servers, batch, load):
    pool = BatchArrivals(load * servers, servers, ONE, batch=batch)
    found = batch_chain(servers, load * servers, batch, int(servers + 40 * batch / (1 - load)))
    behind = np.arange(servers, len(found)) - servers  # of those who wait: how many wait before them
    assert pool.probability_of_wait == pytest.approx(found[servers:].sum(), rel=1e-9)
    for t in (0.1, 1.0, 5.0):
        chain = (found[servers:] * stats.poisson.cdf(behind, servers * t)).sum()
        assert pool.wait.ccdf(t) == pytest.approx(chain, rel=1e-8)
    assert pool.in_flight == pytest.approx(load * servers + load * ((behind + 1) * found[servers:]).sum(), rel=1e-8)


@given(LOADS, st.integers(1, 400))
@settings(max_examples=30, deadline=None)
def test_batches_of_one_are_a_central_queue_and_one_server_has_its_textbook_form(load, servers):
    rate = load * servers
    assert batch_probability_of_wait(servers, rate, 1.0) == erlang_c(servers, rate)
    near = batch_probability_of_wait(servers, rate, 1.0 + 1e-7)
    assert near == pytest.approx(erlang_c(servers, rate), rel=1e-3, abs=1e-200)
    single = BatchArrivals(load, 1, ONE, batch=3.0)
    assert single.in_flight == pytest.approx(3.0 * load / (1 - load), rel=1e-12)


def test_the_formula_of_batches_broadcasts_and_refuses():
    assert batch_probability_of_wait([[5], [10]], 4.0, [1.0, 2.0, 8.0]).shape == (2, 3)
    assert batch_probability_of_wait(3, 3.0, 2.0) == 1.0
    assert batch_probability_of_wait(3, 0.0, 2.0) == 0.0
    with pytest.raises(ValueError, match=r"batch must lie in \[1, inf\) requests; got 0.5"):
        batch_probability_of_wait(3, 1.0, 0.5)


def modulated_chain(servers, rates, leaving, levels):
    """The law of (number, phase) that an arrival finds, by a sparse solve; service rate 1."""
    entries = []
    for n in range(levels):
        for j in (0, 1):
            moves = [(n, 1 - j, leaving[j]), (n + 1, j, rates[j]), (n - 1, j, float(min(n, servers)))]
            for m, k, rate in moves:
                if 0 <= m < levels and rate > 0:
                    entries += [(2 * m + k, 2 * n + j, rate), (2 * n + j, 2 * n + j, -rate)]
    rows, columns, values = zip(*entries, strict=True)
    matrix = sparse.coo_matrix((values, (rows, columns)), shape=(2 * levels, 2 * levels)).tocsc()
    law = np.append(1.0, linalg.spsolve(matrix[1:, 1:], -matrix[1:, [0]].toarray()[:, 0])).reshape(levels, 2)
    seen = law * np.array(rates)
    return seen / seen.sum()


CHAINS = [
    (1, (0.2, 1.5), (0.1, 0.3)),
    (10, (6.0, 12.0), (0.005, 0.02)),
    (10, (0.0, 9.0), (0.3, 0.5)),
    (2, (1.5, 0.0), (3.0, 1.0)),
    (3, (2.0, 2.5), (10.0, 20.0)),
    (50, (40.0, 48.0), (0.01, 0.02)),
]


@pytest.mark.parametrize(("servers", "rates", "leaving"), CHAINS)
def test_switching_rates_equal_their_chain_in_each_phase(servers, rates, leaving):
    seen = modulated_chain(servers, rates, leaving, 6000)
    waits = modulated_waits(servers, 1.0, rates, leaving)
    np.testing.assert_allclose(waits.shares, seen.sum(axis=0), rtol=1e-9)
    behind = np.arange(servers, len(seen)) - servers
    for t in (0.0, 0.3, 2.0, 20.0):
        chain = stats.poisson.cdf(behind, servers * t) @ seen[servers:]
        np.testing.assert_allclose(waits.weights @ np.exp(-waits.drains * t), chain, rtol=1e-8, atol=1e-15)


@given(LOADS, st.integers(1, 60), st.floats(1e-3, 1e3))
@settings(max_examples=30, deadline=None)
def test_equal_rates_are_poisson_and_bursts_of_no_length_too(load, servers, burst):
    poisson = CentralQueue(load * servers, servers, ONE)
    level = ModulatedArrivals(load * servers, servers, ONE, peak=1.0, burst=burst)
    brief = ModulatedArrivals(load * servers, servers, ONE, peak=2.0, burst=1e-9)
    for pool in (level, brief):
        assert pool.probability_of_wait == pytest.approx(poisson.probability_of_wait, rel=1e-6)
        assert pool.wait.mean() == pytest.approx(poisson.wait.mean(), rel=1e-6)
        assert pool.burst_factor == pytest.approx(1.0, rel=1e-6)


def test_long_bursts_are_a_mixture_of_two_pools():
    pool = ModulatedArrivals(7.0, 10, ONE, peak=1.3, share=0.25, burst=1e7)
    calm, burst = (CentralQueue(rate, 10, ONE) for rate in pool.rates)
    share = 0.25 * 1.3
    mixed = (1 - share) * calm.wait.mean() + share * burst.wait.mean()
    assert pool.wait.mean() == pytest.approx(mixed, rel=1e-4)
    assert pool.wait_in_burst.mean() == pytest.approx(burst.wait.mean(), rel=1e-4)
    assert pool.wait_in_burst.icdf(0.99) == pytest.approx(burst.wait.icdf(0.99), rel=1e-4)


def test_the_formula_of_switching_rates_broadcasts():
    peaks = np.array([10.0, 11.0, 12.0])
    many = modulated_waits(10, 1.0, (6.0, peaks), (0.01, np.array([[0.02], [0.2]])))
    assert many.drains.shape == (2, 2, 3)
    one = modulated_waits(10, 1.0, (6.0, 11.0), (0.01, 0.2))
    for wide, single in zip(many, one, strict=True):
        np.testing.assert_allclose(wide[..., 1, 1], single, rtol=1e-10)


def test_a_pool_of_thousands_does_not_overflow():
    pool = ModulatedArrivals(400_000.0, 5000, burst=1.0)
    assert 0.0 < pool.wait.mean() < pool.wait_in_burst.mean() < 1.0


@pytest.mark.parametrize("law", [PhasedWait((5.0, 80.0), (0.5, -0.1)), PhasedResponse((5.0, 80.0), (0.3, 0.1), 80.0)])
def test_phased_times_answer_alike_through_every_face(law):
    t = law.icdf([0.7, 0.9, 0.999])
    np.testing.assert_allclose(law.cdf(t), [0.7, 0.9, 0.999], rtol=1e-9)
    np.testing.assert_allclose(law.iccdf(law.ccdf(t)), t, rtol=1e-9)
    step = 1e-6
    np.testing.assert_allclose((law.cdf(t + step) - law.cdf(t - step)) / (2 * step), law.pdf(t), rtol=1e-4)
    assert (law.mean(), law.variance()) == pytest.approx(sm.latency.quadrature.moments(law), rel=1e-8)
    assert eval(repr(law), {"PhasedWait": PhasedWait, "PhasedResponse": PhasedResponse}) == law
    drawn = law.sample(200_000, rng=1)
    assert abs(drawn.mean() - law.mean()) < 5 * math.sqrt(law.variance() / 200_000)
    assert abs((drawn > t[1]).mean() - 0.1) < 5 * math.sqrt(0.09 / 200_000)


def test_a_response_is_its_wait_plus_service_by_the_algebra():
    pool = ModulatedArrivals(800.0, 10)
    algebra = pool.wait + pool.service
    t = pool.latency.icdf([0.1, 0.5, 0.99, 0.99999])
    np.testing.assert_allclose(pool.latency.ccdf(t), algebra.ccdf(t), rtol=1e-6)
    assert pool.latency.mean() == pytest.approx(algebra.mean())
    assert pool.latency.variance() == pytest.approx(algebra.variance())


TWINS = [
    BatchArrivals(50.0, 1, batch=2.0),
    BatchArrivals(500.0, 10, batch=3.0),
    ModulatedArrivals(500.0, 10, peak=1.6, burst=0.02),
]


class WrongBatches(BatchArrivals):
    """Waits three per cent short."""

    @answer("s", "a wait that is wrong")
    def wait(self):
        """Off by three per cent."""
        return BatchArrivals.wait.compute(self) * 0.97


class WrongModulation(ModulatedArrivals):
    """Waits three per cent long."""

    @answer("s", "a wait that is wrong")
    def wait(self):
        """Off by three per cent."""
        return ModulatedArrivals.wait.compute(self) * 1.03


@pytest.mark.slow
@pytest.mark.parametrize("pool", TWINS, ids=repr)
def test_the_twins_agree(pool):
    table = sm.verify(pool, requests=8_000_000, seed=4).set_index("quantity")
    assert (table.verdict != "disagrees").all(), table.to_string()
    assert table.loc["latency mean", "smallest_error"] < 0.03
    assert table.loc["burst_factor", "verdict"] == "agrees"


@pytest.mark.slow
@pytest.mark.parametrize(
    "wrong", [WrongBatches(300.0, 10, batch=3.0), WrongModulation(300.0, 5, peak=1.5, burst=0.02)], ids=repr
)
def test_waits_three_per_cent_wrong_are_seen(wrong):
    table = sm.verify(wrong, requests=24_000_000, seed=4).set_index("quantity")
    assert table.loc["wait mean", "verdict"] == "disagrees", table.to_string()


@pytest.mark.parametrize("kind", [BatchArrivals, ModulatedArrivals])
def test_bursts_at_the_edges(kind):
    over = kind(1000.0, 10)
    assert over.latency == over.wait == sm.Never()
    assert math.isnan(over.burst_factor)
    other = kind(500.0, 10, sm.LogNormal(0.01, 4.0))
    with pytest.raises(sm.NoClosedForm, match="simulate it"):
        other.latency  # noqa: B018
    assert other.accuracy("latency").label == "simulated"
    assert other.simulate(50_000, seed=1).latency.mean() > 0.01
    with pytest.raises(ValueError, match="takes no gaps"):
        kind().simulate(1000, gaps=ONE)
    told = kind().timeline(seed=1)
    bursts, poisson = told.lines.values()
    assert bursts.max() > poisson.max()


def test_impossible_bursts_are_refused():
    with pytest.raises(ValueError, match=r"peak x share must lie in \[0, 1\]"):
        ModulatedArrivals(peak=3.0, share=0.5)
    with pytest.raises(ValueError, match=r"batch must lie in \[1, inf\) requests; got 0.5"):
        BatchArrivals(batch=0.5)


def test_where_poisson_arrivals_would_never_wait_the_twin_has_no_factor():
    pool = sm.pools.BatchArrivals(8.0, 1000, batch=1.5)
    assert pool.burst_factor == math.inf
    assert "burst_factor" not in pool.simulate(20_000, seed=1).answers


@pytest.mark.parametrize("burst", [1.0, 1e6, 1e9])
def test_slow_phases_of_equal_rates_are_poisson_arrivals(burst):
    pool = ModulatedArrivals(700.0, 10, sm.Exponential(0.01), peak=1.0, share=0.2, burst=burst)
    plain = CentralQueue(700.0, 10, sm.Exponential(0.01))
    assert pool.probability_of_wait == pytest.approx(plain.probability_of_wait, rel=1e-12)
    assert pool.wait_in_burst.mean() == pytest.approx(plain.wait.mean(), rel=1e-12)
    assert pool.wait.icdf(0.99) == pytest.approx(plain.wait.icdf(0.99), rel=1e-12)


@pytest.mark.parametrize("burst", [1e6, 1e9])
def test_a_long_overload_is_a_fluid(burst):
    """The level x of a fluid queue that grows at 400/s in bursts and drains at 475/s between: its density in bursts is
    share k e^{-kx}, k = leaving_burst / 400 - leaving_calm / 475, and in calm 400/475 of that, for flows balance."""
    pool = ModulatedArrivals(700.0, 10, sm.Exponential(0.01), peak=2.0, share=0.2, burst=burst)
    calm, burst_rate = pool.rates
    grow, drain = burst_rate - 1000.0, 1000.0 - calm
    decay = pool.leaving[1] / grow - pool.leaving[0] / drain
    fluid = pool.share * (burst_rate + grow / drain * calm) / 700.0 / decay / 1000.0
    assert pool.wait.mean() == pytest.approx(fluid, rel=1e-5)
