"""Far tails by twisting. A z test allows 5.5 standard errors: 4e-8 of false alarm each, 1e-5 over this file."""

import decimal
import math
from decimal import Decimal

import numpy as np
import pytest
from scipy import integrate, optimize, stats

from scaling_models.latency import (
    Deterministic,
    Empirical,
    Erlang,
    Exponential,
    Hyperexponential,
    LogNormal,
    Never,
    Pareto,
    Uniform,
    as_latency,
    hedge,
    k_of_n,
    mixture,
)
from scaling_models.montecarlo.estimates import Estimate, NotSettled
from scaling_models.montecarlo.far_tails.tails import gain
from scaling_models.montecarlo.far_tails.twisting import brackets, decay, rare_latencies, rare_waits, records
from scaling_models.montecarlo.far_tails.twists import Table, twist
from scaling_models.montecarlo.kernels.queues import fifo_waits

Z = 5.5
CLOSED = [
    Exponential(1.3),
    Erlang(1.2, 3),
    Hyperexponential(1.0, 4.0),
    Uniform(0.5, 2.0),
    mixture((0.3, 0.7), (Exponential(0.5), Uniform(1.0, 2.0))),
    Exponential(0.4) + Uniform(0.1, 0.9),
    Exponential(0.4) + 0.7,
    2.0 * Erlang(0.5, 2),
    Deterministic(0.7) + Exponential(0.3),
    Empirical((0.3, 0.3, 1.0, 2.5)),
]
TABLES = [
    as_latency(stats.gamma(0.5)),
    as_latency(stats.weibull_min(2.0)),
    hedge(Exponential(1.0), 0.5),
    k_of_n(2, [Exponential(0.5), Exponential(1.0), Deterministic(0.4)]),
]
HEAVY = [LogNormal(1.0, 4.0), Pareto(1.0, 2.5), as_latency(stats.weibull_min(0.5)), as_latency(stats.lognorm(0.5))]


def close(estimate: Estimate, exact: float, at_worst: float) -> None:
    """Within Z errors, and an error of the share `at_worst` would have been seen."""
    assert Z * estimate.error < at_worst * exact
    assert abs(estimate.value - exact) < Z * estimate.error


@pytest.mark.parametrize("law", CLOSED, ids=repr)
@pytest.mark.parametrize("theta", [0.15, -0.8])
def test_normaliser_of_closed_twists_is_the_integral_of_the_ccdf(law, theta):
    assert twist(law, theta).log_mgf == pytest.approx(Table(law, theta).log_mgf, abs=2e-8)


def test_tables_know_closed_normalisers():
    assert twist(TABLES[0], 0.6).log_mgf == pytest.approx(-0.5 * math.log(0.4), abs=1e-8)
    assert twist(as_latency(stats.expon()), 0.9).log_mgf == pytest.approx(math.log(10.0), abs=1e-8)
    assert twist(as_latency(stats.expon()), -3.0).log_mgf == pytest.approx(-math.log(4.0), abs=1e-8)


@pytest.mark.parametrize(
    ("law", "theta"),
    [(law, theta) for law in CLOSED + TABLES for theta in (0.15, -0.8)] + [(law, -0.8) for law in HEAVY],
    ids=repr,
)
def test_twisted_draws_untwist(law, theta):
    """Weighed by e^{-theta T} E e^{theta T}, twisted draws give back E 1 and E e^{-T / 2}."""
    twisted = twist(law, theta)
    drawn = twisted.draw((200, 100), np.random.default_rng(1))
    assert drawn.shape == (200, 100)
    weights = np.exp(twisted.log_mgf - theta * drawn.ravel())
    for values, exact in ((weights, 1.0), (weights * np.exp(-0.5 * drawn.ravel()), math.exp(twist(law, -0.5).log_mgf))):
        assert abs(values.mean() - exact) < Z * values.std() / math.sqrt(values.size) + 1e-7
        assert Z * values.std() / math.sqrt(values.size) < 0.12 * exact


@pytest.mark.parametrize("law", HEAVY, ids=repr)
def test_heavy_tails_are_refused_and_sent_to_splitting(law):
    assert twist(law, 0.1).log_mgf == math.inf
    with pytest.raises(ValueError, match="splitting"):
        rare_waits(Exponential(4.0), law, 1)


def test_decay_rates_are_the_known_ones():
    assert decay(Exponential(2.0), Exponential(1.0)) == pytest.approx(0.5, rel=1e-12)
    root = optimize.brentq(lambda s: s - math.exp(-2.0 * (1.0 - s)), 1e-6, 0.9)
    assert decay(Deterministic(2.0), Exponential(1.0)) == pytest.approx(1.0 - root, rel=1e-11)
    rate = decay(Exponential(2.0), Deterministic(1.0))
    assert math.exp(rate) == pytest.approx(1.0 + 2.0 * rate, rel=1e-12)
    for gap in (0.01, 100.0):  # a light and a heavy load, in other units
        assert decay(Exponential(gap), Exponential(gap / 1.01)) == pytest.approx(0.01 / gap, rel=1e-9)
        assert decay(Exponential(gap), Exponential(gap / 50.0)) == pytest.approx(49.0 / gap, rel=1e-9)


def test_queues_without_a_decay_rate_are_refused():
    with pytest.raises(NotSettled):
        decay(Exponential(1.0), Exponential(1.0))
    with pytest.raises(NotSettled):
        decay(Exponential(1.0), Never())
    with pytest.raises(ValueError, match="nobody ever waits"):
        decay(Deterministic(1.0), Uniform(0.2, 0.9))
    with pytest.raises(ValueError, match="ends below one"):  # as of a density e^{-t} t^{-3}, finite where it ends
        brackets(lambda theta: -theta if theta <= 1.0 else math.inf, 0.3, Exponential(1.0))
    with pytest.raises(ValueError, match="lanes"):
        rare_waits(Exponential(2.0), Exponential(1.0), 1, lanes=1)
    with pytest.raises(ValueError, match="smallest"):
        rare_waits(Exponential(2.0), Exponential(1.0), 1, smallest=0.0)


def test_records_are_those_of_a_plain_loop():
    """The same steps, walked one by one: record heights up to the first over the reach."""
    rng, reach, width = np.random.default_rng(5), 6.0, 40
    start = np.where(np.arange(width) % 3 == 0, 0.0, rng.exponential(3.0, width))
    alive, table = np.flatnonzero(start <= reach), [[] for _ in range(width)]

    def steps(count, lanes):
        nonlocal alive
        alive = [lane for lane in alive if start[lane] + max(np.cumsum(table[lane]), default=0.0) <= reach]
        drawn = rng.normal(0.1, 1.0, (count, lanes))
        assert len(alive) == lanes
        for lane, column in zip(alive, drawn.T, strict=True):
            table[lane].extend(column)
        return drawn.copy()

    heights, starts = records(start, steps, reach)
    for lane in range(width):
        at, found = start[lane], [start[lane]] if start[lane] > 0 else []
        for step in table[lane]:
            at += step
            if at > max(found, default=0.0) and max(found, default=0.0) <= reach:
                found.append(at)
        end = starts[lane + 1] if lane + 1 < width else len(heights)
        np.testing.assert_allclose(heights[starts[lane] : end], found, rtol=1e-12)


@pytest.mark.parametrize("load", [0.05, 0.3, 0.5])
def test_mm1_tails_are_exact_down_to_1e_9(load):
    waits = rare_waits(Exponential(1.0 / load), Exponential(1.0), 3, lanes=2**14)
    latencies = rare_latencies(Exponential(1.0 / load), Exponential(1.0), 3, lanes=2**14)
    for p in (1e-2, 1e-4, 1e-6, 1e-9):
        close(waits.ccdf_estimate(math.log(load / p) / (1.0 - load)), p, 0.15)
        close(latencies.ccdf_estimate(math.log(1.0 / p) / (1.0 - load)), p, 0.15)
    close(waits.ccdf_estimate(0.0), load, 0.15)
    assert waits.ccdf(-1.0) == 1.0


def test_other_queues_with_known_tails():
    """M/D/1 by Erlang's sum in 60 digits, D/M/1 (geometric, exponential), M/H2/1 (two exponentials)."""
    md1 = rare_waits(Exponential(2.0), Deterministic(1.0), 4)
    md1_latency = rare_latencies(Exponential(2.0), Deterministic(1.0), 5)
    for t in (2.5, 7.3, 14.1):
        close(md1.ccdf_estimate(t), md1_tail(t, Decimal("0.5")), 0.05)
        close(md1_latency.ccdf_estimate(t + 1.0), md1_tail(t, Decimal("0.5")), 0.05)
    sigma = 1.0 - decay(Deterministic(2.0), Exponential(1.0))
    dm1 = rare_waits(Deterministic(2.0), Exponential(1.0), 6, lanes=2**15)
    for t in (0.0, 5.0, 20.0):
        close(dm1.ccdf_estimate(t), sigma * math.exp(-(1.0 - sigma) * t), 0.05)
    service = Hyperexponential(1.0, 4.0)
    terms = mh2_terms(0.3, service)
    mh2, mh2_latency = (run(Exponential(1.0 / 0.3), service, 7) for run in (rare_waits, rare_latencies))
    for t in (1.0, 20.0, 70.0):
        close(mh2.ccdf_estimate(t), float(terms[1] @ np.exp(-terms[0] * t)), 0.1)
        later, _ = integrate.quad(
            lambda s, t=t: service.pdf(s) * float(terms[1] @ np.exp(-terms[0] * (t - s))),
            0.0,
            t,
            epsrel=1e-10,
            epsabs=0,
        )
        close(mh2_latency.ccdf_estimate(t), service.ccdf(t) + later, 0.1)


def md1_tail(t: float, load: Decimal) -> float:
    """P(W > t) of M/D/1 with service 1: 1 - (1 - rho) sum_j (rho (j - t))^j e^{rho (t - j)} / j!."""
    with decimal.localcontext() as context:
        context.prec = 60
        time = Decimal(t)
        total = sum(
            (load * (j - time)) ** j * (load * (time - j)).exp() / math.factorial(j) for j in range(1, int(t) + 1)
        )
        return float(1 - (1 - load) * (total + (load * time).exp()))


def mh2_terms(rate, service):
    """Rates and weights of P(W > t) = sum w e^{-r t}: poles and residues of (1 - rho) / (s - lambda + lambda B(s))."""
    (p, a), (q, b) = service.branches
    # s (s + a)(s + b) - rate ((s + a)(s + b) - p a (s + b) - q b (s + a)) = s (s^2 + ...)
    poles = np.roots([1.0, a + b - rate, a * b - rate * (p * b + q * a)])
    poles = np.sort(poles.real)[::-1]
    residues = [(1.0 - rate) * (s + a) * (s + b) / (s - other) for s, other in zip(poles, poles[::-1], strict=True)]
    return -poles, np.array(residues) / -poles


def test_intervals_cover_as_often_as_they_say():
    """95% intervals of probabilities and of a quantile, 300 seeds: binomial limits of a false alarm of 1e-7 each.

    Too wide intervals show in the spread of the errors in standard errors, which is one to within 5.5 / sqrt(2 seeds).
    """
    load, seeds = 0.5, 300
    levels, quantile = (1e-4, 1e-6, 1e-9), math.log(load / 1e-6) / (1.0 - load)
    covered, errors = np.zeros(4), np.empty((seeds, 3))
    for seed in range(seeds):
        tail = rare_waits(Exponential(1.0 / load), Exponential(1.0), seed, lanes=512)
        for i, p in enumerate(levels):
            found = tail.ccdf_estimate(math.log(load / p) / (1.0 - load))
            low, high = found.interval()
            covered[i] += low <= p <= high
            errors[seed, i] = (found.value - p) / found.error
        if seed < 150:
            low, high = tail.interval(1.0 - 1e-6)
            covered[3] += low <= quantile <= high
    for count, trials in zip(covered, (seeds, seeds, seeds, 150), strict=True):
        assert count >= stats.binom.ppf(1e-7, trials, 0.95) > 0.8 * trials
    assert (np.abs(errors.std(axis=0) - 1.0) < Z / math.sqrt(2 * seeds)).all()
    assert (np.abs(errors.mean(axis=0)) < Z / math.sqrt(seeds)).all()


def test_quantiles_invert_the_tail_and_refuse_what_was_not_simulated():
    tail = rare_waits(Exponential(2.0), Erlang(1.0, 2), 8, smallest=1e-6)
    for p in (1e-1, 1e-3, 1e-6):
        t = float(tail.iccdf(p))
        assert tail.ccdf(t * (1.0 + 1e-6)) <= p <= tail.ccdf(t * (1.0 - 1e-6))
    assert tail.icdf(0.3) == 0.0
    with pytest.raises(ValueError, match="down to"):
        tail.iccdf(1e-12)
    with pytest.raises(ValueError, match="up to"):
        tail.ccdf(1e3)
    again = rare_waits(Exponential(2.0), Erlang(1.0, 2), 8, smallest=1e-6)
    assert again.ccdf(5.0) == tail.ccdf(5.0)


def test_plain_simulation_agrees_where_it_can_see():
    """Uniform services and Erlang gaps: no formula, so Lindley's recursion over 2,000 lanes of 2,000 customers."""
    gap, service = Erlang(2.0, 2), Uniform(0.5, 2.5)
    rng = np.random.default_rng(9)
    waits, _ = fifo_waits(service._draw((2000, 2000), rng), gap._draw((2000, 2000), rng))
    tail = rare_waits(gap, service, 10)
    for t in (0.5, 3.0, 8.0):
        each = (waits[:, 500:] > t).mean(axis=1)
        found, error = tail.ccdf_estimate(t), each.std() / math.sqrt(2000)
        assert abs(found.value - each.mean()) < Z * math.hypot(found.error, error) < 0.2 * found.value


@pytest.mark.parametrize("load", [0.3, 0.5])
def test_gain_over_plain_simulation_is_a_thousandfold_at_1e_6(load):
    gap, service = Exponential(1.0 / load), Exponential(1.0)
    t = math.log(load / 1e-6) / (1.0 - load)

    def plain():
        rng = np.random.default_rng(2)
        fifo_waits(service._draw((1000, 1000), rng), gap._draw((1000, 1000), rng))
        return 1_000_000

    assert float(gain(lambda: rare_waits(gap, service, 11).ccdf_estimate(t), plain)) > 1000.0


def test_walks_that_would_not_end_are_refused():
    with pytest.raises(ValueError, match=r"the load is 0\.9999, so near capacity"):
        rare_waits(Exponential(1.0), Exponential(0.9999), 1)
