"""Flows of requests: mean rates, counts, gaps and queues against what is known exactly, across the cuts of blocks."""

import functools
import itertools
import math
import pickle

import numpy as np
import pytest
from lanes import streams
from scipy import integrate, linalg, optimize, special, stats

import scaling_models as sm
from scaling_models.montecarlo.kernels.queues import central_waits
from scaling_models.montecarlo.streams import stream
from scaling_models.montecarlo.traffic.arrivals import (
    Batches,
    Correlated,
    Modulated,
    Renewal,
    TimeVarying,
    cut,
    sinusoid,
)

SERVICE = sm.Exponential(1.0)
SWITCH = ((0.0, 0.2, 0.1), (1.0, 0.0, 0.5), (0.05, 0.4, 0.0))
LADDER = TimeVarying((0.0, 2.0, 2.0, 5.0, 6.0), (1.0, 3.0, 0.0, 0.0, 6.0), 10.0, SERVICE)
RAMP = TimeVarying((0.0, 10.0, 30.0), (2.0, 2.0, 5.0), math.inf, SERVICE)
FLOWS = (
    Renewal(sm.Erlang(0.5, 3), SERVICE),
    Batches(2.0, 3.0, SERVICE),
    Modulated((10.0, 1.0), (0.5, 0.1), SERVICE),
    Modulated((5.0, 0.0, 1.0), SWITCH, SERVICE),
    Correlated(sm.Exponential(0.5), sm.LogNormal(1.0, 4.0), 0.8),
    LADDER,
    RAMP,
    sinusoid(14.0, 0.3, 50.0, SERVICE),
)
REACH = special.ndtri(1.0 - 0.5e-8)  # normal deviates: a false alarm in 1e8 comparisons


def drawn(flow, lanes, blocks, seed=0):
    """Services and gaps in blocks of the given lengths, one after the other."""
    state = flow.start(lanes, streams(seed, 0))
    pieces = []
    for i, customers in enumerate(blocks):
        services, gaps, state = flow.draw(state, streams(seed, i + 1), customers)
        pieces.append((services, gaps))
    return np.concatenate([s for s, _ in pieces]), np.concatenate([g for _, g in pieces]), state


def close(values, expected, least=0.03):
    """The mean over independent lanes within REACH standard errors; an error of `least` is seen 95 times in 100."""
    error = np.std(values, ddof=1) / math.sqrt(len(values))
    assert abs(np.mean(values) - expected) <= REACH * error
    assert (REACH + 1.645) * error <= least * abs(expected)


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: type(flow).__name__)
def test_a_flow_is_a_record_that_deals_non_negative_times(flow):
    assert pickle.loads(pickle.dumps(flow)) == flow
    assert hash(flow) == hash(pickle.loads(pickle.dumps(flow)))
    services, gaps, state = drawn(flow, 5, (1, 7, 40))
    assert services.shape == gaps.shape == (48, 5)
    assert (gaps >= 0).all()
    assert (services > 0).all()
    picked = flow.pick(state, np.array([3, 3, 0]))
    for whole, part in zip(state, picked, strict=True):
        assert part.tolist() == [whole[3], whole[3], whole[0]]
        part += 1
        assert whole[3] != part[0]
    again, _, _ = drawn(flow, 5, (1, 7, 40))
    assert (services == again).all()


@pytest.mark.parametrize("flow", FLOWS[:5], ids=lambda flow: type(flow).__name__)
def test_mean_gap_and_service(flow):
    services, gaps, _ = drawn(flow, 1500, (16,) * 24)
    close(gaps.mean(axis=0), 1.0 / flow.arrival_rate, least=0.06)
    close(services.mean(axis=0), 1.0, least=0.08)


def counts_until(flow, time, lanes, blocks):
    _, gaps, _ = drawn(flow, lanes, blocks, seed=3)
    arrivals = np.cumsum(gaps, axis=0)
    assert (arrivals[-1] > time).all()
    return (arrivals <= time).sum(axis=0)


def factorial_moments(flow, time):
    """E N and E N(N-1) of arrivals in (0, time] after an arrival: blocks of an exponential (Van Loan 1978)."""
    rates = np.diag(flow.rates)
    switch = np.array(flow.switch, dtype=float)
    matrix = switch if switch.ndim == 2 else np.array([[0.0, switch[0]], [switch[1], 0.0]])
    generator = matrix - np.diag(matrix.sum(axis=1))
    n = len(generator)
    big = np.kron(np.eye(3), generator) + np.kron(np.eye(3, k=1), rates)
    power = linalg.expm(big * time)
    share = linalg.null_space(generator.T)[:, 0]
    begin = share @ rates / (share @ rates).sum()
    return begin @ power[:n, n : 2 * n].sum(axis=1), 2.0 * begin @ power[:n, 2 * n :].sum(axis=1)


@pytest.mark.parametrize(("flow", "time"), [(FLOWS[2], 8.0), (FLOWS[3], 8.0), (FLOWS[2], 0.5)])
def test_modulated_counts_have_their_exact_moments(flow, time):
    counts = counts_until(flow, time, 40_000, (7,) * 25)
    first, second = factorial_moments(flow, time)
    close(counts.astype(float), first, least=0.04)
    close((counts * (counts - 1)).astype(float), second, least=0.06)
    poisson = flow.arrival_rate * time
    assert second / first**2 > 1.1  # far from Poisson, where it is 1
    assert first > 1.05 * poisson  # an arrival tells of a busy state, which the start must know


def test_sojourns_are_exponential_and_jump_as_the_rates_say():
    flow, wanted = FLOWS[3], np.full(2500, 120.0)
    first = flow.start(2500, streams(0, 0))[0]
    visited, lengths, sums = flow._sojourns(first, wanted, stream(0, 6))
    assert (visited[0] == first).all()
    assert (sums[-1] > wanted).all()
    rates = np.array(SWITCH)
    for state in range(3):
        leaving = rates[state].sum()
        mine = lengths[:30][visited[:30] == state] * leaving
        close(mine, 1.0, least=0.06)
        assert stats.kstest(mine, "expon").pvalue > 1e-7
        to = visited[1:31][visited[:30] == state]
        assert (to != state).all()
        for other in {0, 1, 2} - {state}:
            close((to == other).astype(float), rates[state, other] / leaving, least=0.16)


@pytest.mark.parametrize("flow", FLOWS[2:4])
def test_modulated_arrivals_fall_where_the_sojourns_say(flow, monkeypatch):
    laid = []
    sojourns = Modulated._sojourns

    def seen(self, *given):
        laid.append(sojourns(self, *given))
        return laid[-1]

    monkeypatch.setattr(Modulated, "_sojourns", seen)
    _, gaps, (last,) = flow.draw(flow.start(6, streams(0, 0)), streams(0, 1), 60)
    visited, lengths, _ = laid[0]
    counts = stream(0, 1, 1).standard_exponential((60, 6))
    for lane in range(6):
        sojourn, left = 0, lengths[0, lane]
        for n in range(60):
            wanted, gap = counts[n, lane], 0.0
            while wanted > flow.rates[visited[sojourn, lane]] * left:
                wanted -= flow.rates[visited[sojourn, lane]] * left
                gap += left
                sojourn += 1
                left = lengths[sojourn, lane]
            step = wanted / flow.rates[visited[sojourn, lane]]
            left -= step
            assert gaps[n, lane] == pytest.approx(gap + step, abs=1e-9)
        assert last[lane] == visited[sojourn, lane]


def test_modulated_dispersion_tends_to_its_limit():
    flow = FLOWS[2]
    (high, low), (out, back) = flow.rates, flow.switch
    share = back / (out + back)
    limit = 1 + 2 * share * (1 - share) * (high - low) ** 2 / ((out + back) * flow.arrival_rate)
    counts = counts_until(flow, 200.0, 6000, (100,) * 14)
    squares = (counts - flow.arrival_rate * 200.0) ** 2 / (flow.arrival_rate * 200.0)
    assert abs(squares.mean() / limit - 1) < REACH * squares.std() / math.sqrt(6000) / limit + 0.03  # O(1/time)


def test_modulated_with_equal_rates_is_poisson_whatever_switches():
    _, gaps, _ = drawn(Modulated((2.0, 2.0), (30.0, 0.1), SERVICE), 400, (11,) * 20)
    assert stats.kstest(gaps.ravel(), "expon", args=(0, 0.5)).pvalue > 1e-6


def test_batch_counts_have_their_exact_dispersion():
    flow, time = FLOWS[1], 10.0
    counts = counts_until(flow, time, 30_000, (5,) * 30)
    b, rate = flow.batch_mean, flow.arrival_rate
    # By memorylessness the batch that customer -1 belongs to goes on with probability q, the rest are whole batches.
    rest_mean, rest_variance = b - 1, b * (b - 1)
    mean, variance = rest_mean + rate * time, rest_variance + rate * time * (2 * b - 1)
    close(counts.astype(float), mean)
    close((counts - mean) ** 2, variance, least=0.07)


def batch_queue(rate, batch_mean, servers, ahead=4000):
    """Mean wait and P(wait > 0) of M^X/M/c, geometric batches, mean service 1, by the sums of its stationary law."""
    q = 1 - 1 / batch_mean
    p, f, law, seen = 1.0, 0.0, [], 0.0
    before = []
    for n in range(ahead):
        f = q * f + p
        law.append(p)
        seen = q * seen + (1 - q) * p
        before.append(seen)
        p = rate / batch_mean * f / min(n + 1, servers)
    before = np.array(before) / np.sum(law)
    n = np.arange(servers, ahead)
    return float((before[servers:] * (n - servers + 1)).sum() / servers), float(before[servers:].sum())


@pytest.mark.parametrize(("servers", "batch"), [(1, 4.0), (5, 3.0), (10, 8.0)])
def test_batches_before_a_central_queue_wait_as_the_exact_chain_says(servers, batch):
    flow = Batches(0.6 * servers, batch, SERVICE)
    services, gaps, _ = drawn(flow, 3000, (50,) * 12, seed=7)
    waits, _ = central_waits(services, gaps, np.zeros((servers, 3000)))
    late = waits[300:].mean(axis=0)
    mean, some = batch_queue(0.6 * servers, batch, servers)
    close(late, mean, least=0.12)
    close((waits[300:] > 0).mean(axis=0), some)
    close(waits[300:450].mean(axis=0), mean, least=0.14)  # warmed up by then


def test_one_server_fed_in_batches_holds_b_rho_over_1_less_rho():
    mean, _ = batch_queue(0.6, 4.0, 1)
    assert 0.6 * (mean + 1.0) == pytest.approx(4.0 * 0.6 / 0.4, rel=1e-12)


@pytest.mark.parametrize("service", [sm.LogNormal(1.0, 4.0), sm.Exponential(2.0), sm.Hyperexponential(1.0, 4.0)])
@pytest.mark.parametrize("correlation", [0.8, -0.5])
def test_correlated_services_keep_their_law_and_their_copula(service, correlation):
    flow = Correlated(sm.Exponential(1.0), service, correlation)
    services, _, _ = drawn(flow, 20_000, (3, 2, 4), seed=5)
    for row in services[[0, 2, 3, 8]]:  # lanes are independent, so that each row is an honest sample
        assert stats.kstest(row, service.cdf).pvalue > 1e-7
    upper = services > service.icdf(0.5)
    scores = special.ndtri(np.where(upper, 0.5, service.cdf(services)))
    scores = np.where(upper, -special.ndtri(service.ccdf(services)), scores)
    for earlier, later, power in [(0, 1, 1), (2, 3, 1), (4, 5, 1), (1, 6, 5)]:  # within a block and across cuts
        close(scores[earlier] * scores[later], correlation**power, least=math.inf)
    assert np.corrcoef(scores[2], scores[3])[0, 1] == pytest.approx(correlation, abs=REACH / math.sqrt(20_000))


def test_correlated_scores_equal_the_recursion():
    flow = Correlated(sm.Exponential(1.0), SERVICE, 0.9)
    first = (np.array([0.3, -2.0]),)
    services, _, (last,) = flow.draw(first, streams(1, 1), 30)
    noise = stream(1, 1, 0).standard_normal((30, 2))
    for lane in range(2):
        z = first[0][lane]
        for n in range(30):
            z = 0.9 * z + math.sqrt(1 - 0.81) * noise[n, lane]
            assert services[n, lane] == pytest.approx(-math.log(special.ndtr(-z)), rel=1e-9)
        assert last[lane] == pytest.approx(z, rel=1e-12)


def rate_of(flow, time):
    """The rate read off the knots, for an independent integral."""
    times, rates = list(flow.times), list(flow.rates)
    if flow.period < math.inf:
        time %= flow.period
        if times[-1] < flow.period:
            times, rates = [*times, flow.period], [*rates, rates[0]]
    return float(np.interp(time, times, rates))


@functools.cache
def integrated(flow, a, b):
    cuts = [a, *(t + k * flow.period for t in flow.times for k in range(9) if a < t + k * flow.period < b), b]
    cuts = sorted(t for t in cuts if math.isfinite(t))
    inside = [(lo + 1e-12, hi - 1e-12) for lo, hi in itertools.pairwise(cuts) if hi > lo]
    return sum(integrate.quad(lambda t: rate_of(flow, t), lo, hi, limit=200)[0] for lo, hi in inside)


@pytest.mark.parametrize("flow", [LADDER, TimeVarying((0.0, 4.0), (1.0, 3.0), 6.0, SERVICE)])
def test_the_integrated_rate_is_the_integral_of_the_rate(flow):
    for time in (0.0, 0.7, 2.0, 3.5, 5.5, 6.0, 9.9, 12.0, 31.3):
        assert flow.integrated(np.array([time]))[0] == pytest.approx(integrated(flow, 0.0, time), abs=1e-9)


@pytest.mark.parametrize("flow", [LADDER, RAMP, FLOWS[7]])
def test_gaps_by_inversion_equal_a_root_finder(flow):
    _, gaps, (last,) = drawn(flow, 3, (4, 20))
    counts = np.concatenate([stream(0, i + 1, 1).standard_exponential((n, 3)) for i, n in enumerate((4, 20))])
    arrivals = np.cumsum(gaps, axis=0)
    np.testing.assert_allclose(arrivals[-1], last, rtol=1e-12)
    wanted = np.cumsum(counts, axis=0)
    for n in range(24):
        for lane in range(3):
            miss = lambda t, w=wanted[n, lane]: flow.integrated(np.array([t]))[0] - w  # noqa: E731
            root = optimize.brentq(miss, 0.0, 100.0, xtol=1e-13)
            assert arrivals[n, lane] == pytest.approx(root, abs=1e-9)


def binned(arrivals, period, bins):
    return np.histogram(arrivals % period, bins=bins)[0]


def test_time_varying_counts_recover_the_rate_as_thinning_does():
    flow, lanes, periods = LADDER, 400, 6
    _, gaps, _ = drawn(flow, lanes, (30,) * 14, seed=2)
    arrivals = np.cumsum(gaps, axis=0)
    assert (arrivals[-1] > periods * 10).all()
    rng = stream(9, 9)
    proposed = rng.uniform(0, periods * 10, rng.poisson(6.0 * periods * 10 * lanes))
    kept = proposed[rng.random(len(proposed)) * 6.0 < np.vectorize(lambda t: rate_of(flow, t))(proposed)]
    edges = np.array([0.0, 0.5, 1.0, 1.5, 2.0, 5.0, 5.25, 5.5, 5.75, 6.0, 7.0, 8.0, 9.0, 10.0])
    expected = np.array([integrated(flow, a, b) for a, b in itertools.pairwise(edges)]) * periods * lanes
    for times in (arrivals[arrivals < periods * 10], kept):
        found = binned(times, 10.0, edges)
        assert found[4] == 0  # the rate is nought there
        busy = expected > 1e-6
        assert (np.abs(found - expected)[busy] <= REACH * np.sqrt(expected[busy])).all()
        assert (0.36 * np.sqrt(expected[busy]) > REACH + 1.645).all()
    total = (arrivals < 60).sum(axis=0)
    assert total.var() / total.mean() == pytest.approx(1.0, abs=REACH * math.sqrt(2 / lanes))


def test_a_sinusoid_has_its_mean_and_its_shape():
    flow = sinusoid(14.0, 0.3, 50.0, SERVICE)
    assert flow.arrival_rate == pytest.approx(14.0, rel=1e-12)
    times = np.linspace(0.0, 120.0, 1001)
    exact = 14.0 * (times + 0.3 * 50 / (2 * np.pi) * (1 - np.cos(2 * np.pi * times / 50)))
    np.testing.assert_allclose(flow.integrated(times), exact, rtol=2e-6)


def test_scattered_lanes_see_any_time_of_the_period_alike():
    flow = TimeVarying(LADDER.times, LADDER.rates, 10.0, SERVICE, scattered=True)
    for blocks in ((1,), (3, 3)):
        _, _, (last,) = drawn(flow, 8000, blocks)
        share = flow.integrated(last) / (10.0 * flow.arrival_rate) % 1.0
        assert stats.kstest(share, "uniform").pvalue > 1e-6


def test_a_step_of_load_stays():
    flow = TimeVarying((0.0, 10.0, 10.0), (2.0, 2.0, 8.0), math.inf, SERVICE)
    assert flow.arrival_rate == 8.0
    _, gaps, _ = drawn(flow, 2000, (25,) * 8)
    arrivals = np.cumsum(gaps, axis=0)
    close((arrivals < 10).sum(axis=0).astype(float), 20.0, least=0.04)
    close(((arrivals >= 10) & (arrivals < 18)).sum(axis=0).astype(float), 64.0)


def test_a_cut_trace_replays_as_the_whole():
    rng = np.random.default_rng(1)
    arrivals, services = np.cumsum(rng.exponential(0.6, 1003)), rng.exponential(1.0, 1003)
    whole, _ = central_waits(services[1:, None], np.diff(arrivals)[:, None], np.zeros((2, 1)))
    pieces, gaps = cut(arrivals, services, lanes=5, lead=200)
    waits, _ = central_waits(pieces, gaps, np.zeros((2, 5)))
    length = len(pieces) - 200
    assert length == 160
    np.testing.assert_allclose(waits[200:].T.ravel(), whole[200 : 200 + 5 * length, 0], atol=1e-9)
    for lanes, lead in ((2000, 0), (5, 1000), (5, -1)):
        with pytest.raises(ValueError, match="cannot be cut"):
            cut(arrivals, services, lanes, lead)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda: Batches(0.0, 2.0, SERVICE), "arrival_rate"),
        (lambda: Batches(1.0, 0.5, SERVICE), "batch_mean"),
        (lambda: Correlated(SERVICE, SERVICE, 1.0), "correlation"),
        (lambda: TimeVarying((1.0, 0.0), (1.0, 1.0), 2.0, SERVICE), "ascend"),
        (lambda: TimeVarying((0.0, 3.0), (1.0, 1.0), 2.0, SERVICE), "period"),
        (lambda: TimeVarying((0.0,), (1.0, 1.0), 2.0, SERVICE), "equally many"),
        (lambda: TimeVarying((0.0,), (0.0,), 2.0, SERVICE), "mean rate"),
        (lambda: TimeVarying((0.0,), (-1.0,), 2.0, SERVICE), "rates"),
        (lambda: TimeVarying((0.0,), (1.0,), math.inf, SERVICE, scattered=True), "scattered"),
        (lambda: Modulated((1.0,), (1.0,), SERVICE), "2 or more"),
        (lambda: Modulated((1.0, 2.0), ((0.0, 1.0), (1.0,)), SERVICE), "same states"),
        (lambda: Modulated((1.0, -2.0), (1.0, 1.0), SERVICE), "rates"),
        (lambda: Modulated((1.0, 2.0), (1.0, 0.0), SERVICE), "left"),
        (lambda: Modulated((0.0, 0.0), (1.0, 1.0), SERVICE), "mean rate"),
    ],
)
def test_illegal_flows_are_refused_in_a_sentence(wrong, says):
    with pytest.raises(ValueError, match=says):
        wrong()
