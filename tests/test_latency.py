"""Distributions and their algebra: faces agree, laws hold, exact routes agree, samples agree."""

import itertools
import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, special
from strategies import KINDS, POINTWISE, SMOOTH

import scaling_models as sm

LEVELS = np.array([1e-4, 0.01, 0.25, 0.5, 0.9, 0.99, 0.999])
E = sm.Exponential


@given(POINTWISE)
@settings(max_examples=150, deadline=None)
def test_faces_of_a_latency_agree(latency):
    q = latency.icdf(LEVELS)
    assert (np.diff(q) >= 0).all()
    # The least t that reaches the level: the cdf is there, and just before it is not (atoms jump over levels).
    # Inverting is a root search in t: near the level is a few roundings of t times the density.
    slack = 1e-9
    assert (latency.cdf(q * (1 + 1e-12)) >= LEVELS - slack).all()
    assert (latency.cdf(q * (1 - 1e-9)) <= LEVELS + slack).all()
    t = np.linspace(0, 1.2 * float(q[-1]), 200)
    assert (np.diff(latency.cdf(t)) >= -1e-12).all()
    np.testing.assert_allclose(latency.cdf(t) + latency.ccdf(t), 1.0, atol=1e-9)
    assert latency.cdf(-1.0) == 0.0
    assert latency.ccdf(-1.0) == 1.0
    assert latency.icdf(0.0) == pytest.approx(latency.support[0])


@given(POINTWISE)
@settings(max_examples=60, deadline=None)
def test_mean_is_the_area_under_the_ccdf(latency):
    # Mean of min(T, far) by an independent rule, the trapezoid on a fine grid that includes the kinks on both sides.
    far = float(latency.icdf(0.99))
    inside = [k for k in latency.kinks if k < far]
    t = np.union1d(np.linspace(0, far, 40_001), [x for k in inside for x in (k * (1 - 1e-13), k * (1 + 1e-13))])
    area = np.trapezoid(latency.ccdf(t), t)
    beyond = latency.mean() - area
    assert beyond >= -2e-4 * far - 1e-9  # the trapezoid errs by at most (mesh x total variation) / 2
    samples = latency.sample(20_000, rng=1)
    spread = np.minimum(samples, far).std() / math.sqrt(len(samples)) + 1e-12 * far
    assert abs(np.minimum(samples, far).mean() - area) <= 6.2 * spread + 2e-4 * far  # six sigma: 1e-9 a case


@given(st.one_of(POINTWISE, st.builds(lambda a, b: a + b, KINDS, KINDS)), st.integers(0, 2**32))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_samples_follow_the_distribution(latency, seed):
    """The algebra checked by simulation: the share of 20,000 samples above each of four quantiles is binomial.

    Six standard errors and the atoms' continuity: 2e-9 a quantile, below 1e-6 over all examples.
    """
    samples = latency.sample(20_000, rng=seed)
    for t in latency.icdf([0.05, 0.5, 0.95, 0.999]):
        # Atoms may be drawn a rounding away from where they are told to be: count a hair to either side of t.
        most, least = ((samples > t * (1 + turn)).mean() for turn in (-1e-9, 1e-9))
        expected = float(latency.ccdf(t * (1 + 1e-9))), float(latency.ccdf(t * (1 - 1e-9)))
        slack = [6 * math.sqrt(max(p * (1 - p), 1 / 20_000) / 20_000) for p in expected]
        assert least >= expected[0] - slack[0]
        assert most <= expected[1] + slack[1]


@given(KINDS, KINDS)
@settings(max_examples=60, deadline=None)
def test_moments_of_sums_and_scales_add_up(a, b):
    total = a + b
    assert total.mean() == pytest.approx(a.mean() + b.mean())
    assert total.variance() == pytest.approx(a.variance() + b.variance())
    assert (3 * a + 0.5).mean() == pytest.approx(3 * a.mean() + 0.5)
    assert (a * 3).variance() == pytest.approx(9 * a.variance())
    assert sm.slowest(a, b).mean() + sm.fastest(a, b).mean() == pytest.approx(a.mean() + b.mean(), rel=1e-6)


@given(SMOOTH, SMOOTH)
@settings(max_examples=30, deadline=None)
def test_sums_are_right_to_a_millionth(a, b):
    """Against scipy's adaptive quadrature of the textbook convolution, cut at the kinks of either."""
    total = a + b
    levels = [0.05, 0.5, 0.95, 0.999]
    for t in total.icdf(levels):
        top = t - b.support[0]
        points = {a.support[0], top, *(c for c in np.concatenate([a.cuts, t - b.cuts]) if a.support[0] < c < top)}
        edges = sorted(points)
        edges = [low for low, high in zip(edges, [*edges[1:], math.inf], strict=True) if high > low * (1 + 1e-9)]
        area = sum(
            integrate.quad(lambda x, t=t: float(a.pdf(x) * b.ccdf(t - x)), low, high, epsabs=1e-10)[0]
            for low, high in itertools.pairwise(edges)
        )
        assert total.ccdf(t) == pytest.approx(area + a.ccdf(top), abs=1e-6)


@pytest.mark.parametrize(
    ("total", "exact"),
    [
        (E(0.01) + E(0.01), lambda t: np.exp(-t / 0.01) * (1 + t / 0.01)),
        (E(0.01) + E(0.003), lambda t: (0.01 * np.exp(-t / 0.01) - 0.003 * np.exp(-t / 0.003)) / 0.007),
        (sm.Erlang(0.02, 2) + sm.Erlang(0.03, 3), lambda t: special.gammaincc(5, t / 0.01)),
        (E(0.01) + E(0.01) + E(0.01) + E(0.01), lambda t: special.gammaincc(4, t / 0.01)),
    ],
)
def test_sums_match_their_closed_forms_into_the_tail(total, exact):
    t = np.linspace(0, 0.35, 2000)
    np.testing.assert_allclose(total.ccdf(t), exact(t), rtol=1e-6)
    assert exact(t)[-1] < 1e-9
    step = 1e-6  # of a central difference: its error is (step/scale)^2/6 and rounding/step, 1e-7 and 1e-10/s
    slope = (exact(t[1:] - step) - exact(t[1:] + step)) / (2 * step)
    np.testing.assert_allclose(total.pdf(t[1:]), slope, rtol=1e-5, atol=1e-6)


def test_sums_with_atoms_and_kinks():
    fixed = sm.Deterministic(0.01) + sm.Deterministic(0.02)
    assert fixed.atoms == ((0.03, 1.0),)
    assert fixed.icdf(0.5) == 0.03
    trapezoid = sm.Uniform(0.0, 2.0) + sm.Uniform(0.0, 1.0)
    np.testing.assert_allclose(trapezoid.cdf([0.5, 1.5, 2.5]), [0.0625, 0.5, 0.9375], atol=1e-9)
    dice = sm.Empirical(tuple(range(1, 7))) + sm.Empirical(tuple(range(1, 7)))
    np.testing.assert_allclose(dice.ccdf([1.5, 6.5, 11.5]), [1.0, 21 / 36, 1 / 36], atol=1e-12)
    assert dice.icdf(0.5) == 7.0
    many = sm.Empirical(tuple(np.random.default_rng(0).exponential(0.01, 5000))) + E(0.01)
    x = np.array(many.distributions[0].samples)
    assert many.ccdf(0.05) == pytest.approx(
        np.where(x > 0.05, 1.0, np.exp(-(0.05 - np.minimum(x, 0.05)) / 0.01)).mean()
    )


def test_order_statistics_match_their_closed_forms():
    t = np.linspace(0.001, 0.1, 50)
    equal = [E(0.01)] * 5
    np.testing.assert_allclose(sm.slowest(*equal).cdf(t), E(0.01).cdf(t) ** 5, rtol=1e-12)
    np.testing.assert_allclose(sm.fastest(*equal).ccdf(t), E(0.01).ccdf(t) ** 5, rtol=1e-12)
    assert sm.k_of_n(3, equal).mean() == pytest.approx(0.01 * (1 / 5 + 1 / 4 + 1 / 3))
    assert sm.slowest(*[E(0.01)] * 200).icdf(0.99) == pytest.approx(E(0.01).icdf(0.99 ** (1 / 200)))
    assert sm.k_of_n(2, [1.0, 2.0, 3.0]).mean() == 2.0
    different = sm.k_of_n(2, [E(0.01), sm.Uniform(0.0, 0.05), sm.Erlang(0.02, 2)])
    f = [part.cdf(t) for part in different.distributions]
    pairs = f[0] * f[1] * (1 - f[2]) + f[0] * f[2] * (1 - f[1]) + f[1] * f[2] * (1 - f[0]) + f[0] * f[1] * f[2]
    np.testing.assert_allclose(different.cdf(t), pairs, rtol=1e-12)


def test_tails_keep_their_relative_precision():
    assert sm.slowest(E(1.0), E(1.0)).ccdf(40.0) == pytest.approx(2 * math.exp(-40), rel=1e-9)
    assert sm.k_of_n(2, [E(1.0)] * 3).ccdf(30.0) == pytest.approx(3 * math.exp(-60), rel=1e-9)
    assert E(1.0).iccdf(1e-15) == pytest.approx(15 * math.log(10))
    assert sm.slowest(E(1.0), sm.Erlang(1.0, 3)).iccdf(1e-9) == pytest.approx(9 * math.log(10), rel=1e-6)


def test_heavy_tails_have_the_moments_that_they_have():
    assert sm.Pareto(1.0, 1.5).variance() == math.inf
    assert sm.fastest(sm.Pareto(1.0, 1.5), sm.Pareto(1.0, 1.5)).variance() == pytest.approx(
        sm.Pareto(0.5, 3.0).variance()
    )
    assert sm.fastest(sm.Pareto(1.0, 1.5), sm.Pareto(1.0, 1.5)).mean() == pytest.approx(0.5)
    assert (sm.Pareto(1.0, 1.5) + E(1.0)).variance() == math.inf
    assert sm.slowest(sm.Pareto(1.0, 2.1), E(1.0)).variance() < math.inf


def test_a_shared_delay_is_drawn_once():
    card, disk = E(0.002), sm.Erlang(0.004, 3)
    both = sm.slowest(card + disk, card + disk, shared=card)
    assert both.mean() == pytest.approx(card.mean() + sm.slowest(disk, disk).mean(), rel=1e-7)  # the table's
    assert both.mean() < sm.slowest(card + disk, card + disk).mean()
    mixed = sm.k_of_n(2, [card + disk, card + sm.Uniform(0.001, 0.01), sm.Uniform(0.003, 0.012)], shared=card)
    rng = np.random.default_rng(7)
    x = card.sample(400_000, rng=rng)
    parts = [
        x + disk.sample(400_000, rng=rng),
        x + rng.uniform(0.001, 0.01, 400_000),
        rng.uniform(0.003, 0.012, 400_000),
    ]
    brute = np.sort(parts, axis=0)[1]
    for samples in (brute, mixed.sample(400_000, rng=8)):
        for t in mixed.icdf([0.1, 0.5, 0.99]):
            p = float(mixed.ccdf(t))
            assert abs((samples > t).mean() - p) < 6 * math.sqrt(p * (1 - p) / 400_000)  # 2e-9 each
    everyone = sm.slowest(disk, disk, shared=card)
    assert everyone.icdf(0.99) == pytest.approx(both.icdf(0.99), rel=1e-7)
    hedged = sm.hedge(card + disk, 0.005, shared=card)
    assert hedged.mean() == pytest.approx(card.mean() + sm.hedge(disk, 0.005).mean())


@pytest.mark.parametrize(
    ("make", "mean"),
    [
        (lambda nic: sm.k_of_n(2, [nic + 0.005] * 2, shared=nic), 0.015),
        (lambda nic: sm.k_of_n(2, [0.005 + nic + E(0.02)] * 2, shared=nic), 0.045),
        (lambda nic: sm.k_of_n(2, [(nic + E(0.01)) + E(0.02)] * 2, shared=nic + E(0.01)), 0.05),
        (lambda nic: sm.k_of_n(2, [E(0.02) + 0.005 + nic] * 2, shared=nic + 0.005), 0.045),
        (lambda nic: sm.hedge(nic + 0.5, 0.1, shared=nic), 0.51),
        (lambda nic: sm.slowest(nic, nic, shared=nic), 0.01),
    ],
)
def test_a_shared_delay_is_found_wherever_it_is_a_term(make, mean):
    assert make(E(0.01)).mean() == pytest.approx(mean, rel=1e-6)


@pytest.mark.parametrize("part", [lambda nic: (nic + E(0.1)) * 2, lambda nic: sm.slowest(nic, 0.1) + E(0.1)])
def test_a_shared_delay_that_cannot_be_taken_out_is_refused(part):
    nic = E(0.01)
    with pytest.raises(ValueError, match="must be a term of the sum"):
        sm.k_of_n(2, [part(nic), nic + 0.1], shared=nic)
    with pytest.raises(ValueError, match="must be random"):
        sm.slowest(E(0.1), E(0.2), shared=0.5)


def test_what_waits_for_a_shared_delay_is_a_latency_like_any_other():
    nic = E(0.01)
    both = sm.k_of_n(2, [nic + E(0.02), nic + E(0.02), E(0.03)], shared=nic)
    t = np.linspace(0.005, 0.2, 40)
    step = 1e-6
    np.testing.assert_allclose(both.pdf(t), (both.cdf(t + step) - both.cdf(t - step)) / (2 * step), rtol=1e-3)
    np.testing.assert_allclose((both + E(0.01)).cdf(t), (E(0.01) + both).cdf(t), atol=1e-7)
    lossy = sm.k_of_n(2, [nic + E(0.02), nic + sm.mixture([0.9, 0.1], [E(0.01), sm.Never()])], shared=nic)
    assert lossy.lost == pytest.approx(0.1)
    assert lossy.mean() == math.inf
    assert lossy.icdf(0.95) == math.inf
    stepped = sm.k_of_n(1, [nic + E(0.02), sm.mixture([0.5, 0.5], [0.03, E(0.015)])], shared=nic)
    (place, mass), *more = stepped.atoms
    assert not more
    assert place == pytest.approx(0.03)
    assert mass == pytest.approx(0.5 * (nic + E(0.02)).ccdf(0.03), rel=1e-6)


def test_atoms_that_rounding_tells_apart_are_one():
    dots = sm.as_latency(scipy.stats.poisson(2)) * 0.01 + sm.Empirical([0.01, 0.02, 0.02])
    np.testing.assert_allclose(dots.percentiles(50, 95, 99), [0.04, 0.06, 0.08])
    counts = scipy.stats.poisson.pmf(np.arange(0, 5), 2)
    assert dots.cdf(0.02) == pytest.approx(counts[0] * (1 / 3) + counts[0] * (2 / 3) + counts[1] / 3, rel=1e-9)
    twice = sm.as_latency(scipy.stats.poisson(2)) * 0.02 + sm.as_latency(scipy.stats.poisson(2)) * 0.01
    near = [mass for place, mass in twice.atoms if abs(place - 0.07) < 1e-3]
    p = scipy.stats.poisson.pmf(np.arange(0, 8), 2)
    assert near == [pytest.approx(sum(p[i] * p[7 - 2 * i] for i in range(4)), rel=1e-9)]


def test_a_hedge_sent_at_once_or_nearly_is_the_faster_of_two():
    for after in (0.0, 5e-324, 1e-200):
        assert sm.hedge(E(1.0), after).mean() == pytest.approx(0.5)
        assert sm.hedge(E(1.0), after).icdf(0.5) == pytest.approx(math.log(2) / 2)


def test_tables_end_where_the_tail_does():
    heavy = sm.as_latency(scipy.stats.lognorm(0.5, scale=0.02))
    first = sm.k_of_n(1, [E(0.02) + heavy, heavy], shared=E(0.02))
    assert first.ccdf(1.0) < 1e-14
    samples = first.sample(400_000, rng=5)
    assert abs(first.mean() - samples.mean()) < 6 * samples.std() / math.sqrt(400_000)
    ends = sm.fastest(sm.Erlang(0.001, 10), sm.Uniform(0.0005, 0.002)) + sm.fastest(0.05, sm.Erlang(0.01, 2))
    assert (np.diff(ends.percentiles(1, 50, 99)) > 0).all()
    triangle = sm.Uniform(0, 1) + sm.Uniform(0, 1)
    x = np.array([1e-3, 1e-4, 3e-5])
    np.testing.assert_allclose(triangle.ccdf(2 - x), x * x / 2, rtol=1e-5)


def test_infinity_and_nan_are_asked_quietly():
    for latency in (
        E(1.0),
        sm.Pareto(1.0, 2.0),
        E(1.0) + sm.Uniform(1, 2),
        sm.pools.CentralQueue().latency,
        sm.Never(),
    ):
        assert latency.cdf(math.inf) == 1.0 - latency.lost
        assert latency.ccdf(math.inf) == latency.lost
        assert latency.pdf(math.inf) == 0.0
        assert math.isnan(latency.cdf(math.nan))


def test_scipy_laws_are_told_apart():
    one, ten = (scipy.stats.rv_discrete(values=(xs, [0.5, 0.5]))() for xs in ([1, 2], [10, 20]))
    assert sm.slowest(one, ten).mean() == pytest.approx(15.0)
    gamma = scipy.stats.gamma
    assert sm.as_latency(gamma(2.0)) == sm.as_latency(gamma(2.0))
    assert sm.as_latency(gamma(2.0)) != sm.as_latency(gamma(3.0))
    assert sm.as_latency(scipy.stats.poisson(3)).icdf(0.0) == 0.0
    with pytest.raises(ValueError, match="whole numbers only"):
        sm.as_latency(scipy.stats.rv_discrete(values=([1.5, 2.25], [0.5, 0.5]))())


def test_moments_near_the_index_of_the_tail():
    """The larger of two independent Paretos: E = 2m - E min, the min a Pareto of twice the index."""
    for index in (1.01, 1.5, 2.5):
        least = 0.01 * (index - 1) / index
        pair = sm.slowest(sm.Pareto(0.01, index), sm.Pareto(0.01, index))
        assert pair.mean() == pytest.approx(0.02 - least * 2 * index / (2 * index - 1), rel=1e-6)
    assert sm.slowest(scipy.stats.halfcauchy(), E(0.1)).mean() == math.inf


def test_what_never_ends():
    lossy = sm.mixture([0.9, 0.1], [E(0.01), sm.Never()])
    assert lossy.mean() == math.inf
    np.testing.assert_allclose(lossy.icdf([0.45, 0.95]), [0.01 * math.log(2), math.inf])
    assert (lossy + E(0.01)).icdf(0.95) == math.inf
    assert (lossy + E(0.01)).icdf(0.5) < 0.05
    assert sm.slowest(E(1.0), sm.Never()).mean() == math.inf
    assert sm.fastest(E(1.0), sm.Never()).mean() == pytest.approx(1.0)
    assert np.isinf(sm.Never().percentiles()).all()


@pytest.mark.parametrize(
    "law",
    [
        scipy.stats.gamma(0.5, scale=0.01),
        scipy.stats.lognorm(0.8, scale=0.01),
        scipy.stats.pareto(2.5, scale=0.01),
        scipy.stats.poisson(3.0),
        scipy.stats.Normal(mu=0.0, sigma=0.01) ** 2 if hasattr(scipy.stats, "Normal") else scipy.stats.expon(),
    ],
    ids=["gamma", "lognorm", "pareto", "poisson", "new"],
)
def test_scipy_distributions_are_latencies(law):
    latency = sm.as_latency(law)
    assert sm.slowest(latency, latency).mean() >= latency.mean()
    total = latency + E(0.01)
    q = total.icdf([0.5, 0.99])
    samples = total.sample(200_000, rng=3)
    for t, p in zip(q, (0.5, 0.99), strict=True):
        assert abs((samples <= t).mean() - p) < 6 * math.sqrt(p * (1 - p) / 200_000)
    assert total.mean() == pytest.approx(latency.mean() + 0.01)


def test_scipy_distributions_that_are_no_latencies_are_refused():
    with pytest.raises(ValueError, match="never negative"):
        sm.as_latency(scipy.stats.norm(0, 1))
    with pytest.raises(ValueError, match="service must be a latency"):
        sm.pools.CentralQueue(service=scipy.stats.norm(0, 1))


def test_a_mean_alone_refuses_percentiles_but_not_means():
    slow = sm.slowest(sm.MeanOnly(0.01), sm.MeanOnly(0.02)) + 0.001
    assert slow.mean() == pytest.approx(0.021)
    with pytest.raises(sm.NoClosedForm, match="jitter"):
        slow.icdf(0.99)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: sm.Uniform(0.02, 0.01), "Uniform.low must lie below high"),
        (lambda: sm.Shifted(E(0.01), -0.001), "must not make the time negative"),
        (lambda: sm.k_of_n(4, [E(1.0)] * 3), r"KOfN.k must lie in \[1, 3\]"),
        (lambda: sm.mixture([0.5, 0.6], [1.0, 2.0]), "sum to 1"),
        (lambda: E(1.0).icdf(1.5), r"must lie in \[0, 1\]; got 1.5"),
        (lambda: E(1.0).percentiles(101), r"\[0, 100\] per cent; got 101"),
        (lambda: sm.Pareto(1.0, 1.0), r"Pareto.tail_index must lie in \(1, inf\); got 1.0"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(call, said):
    with pytest.raises(ValueError, match=said):
        call()


def test_two_tolerances_agree(monkeypatch):
    """Halving the panels' width moves nothing: no kink was lost."""
    from scaling_models.latency import integrals

    cases = [
        lambda: sm.Uniform(0.001, 0.02) + sm.LogNormal(0.01, 4),
        lambda: sm.Pareto(0.01, 1.7) + sm.Uniform(0.005, 0.006),
        lambda: sm.hedge(sm.Erlang(0.01, 4), 0.02) + sm.Uniform(0.0, 0.03),
        lambda: sm.slowest(sm.Uniform(0.0, 0.01), sm.Uniform(0.004, 0.03)) + sm.Pareto(0.01, 2.5),
    ]
    t = np.linspace(0.002, 0.3, 97)
    coarse = [case().ccdf(t) for case in cases]
    monkeypatch.setattr(integrals, "NODES", 24)
    fine = [case()._integral(t) for case in cases]
    for a, b in zip(coarse, fine, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-7)


def test_weights_of_a_mixture_repeat_themselves():
    """A repr that is pasted must make the same object: what sums to one but for rounding is not divided again."""
    for seed in range(40):
        weights = np.random.default_rng(seed).random(11)
        made = sm.mixture((weights / weights.sum()).tolist(), [sm.Exponential(0.1 * (1 + at)) for at in range(11)])
        assert made.replace() == made


def test_what_is_told_up_to_a_level_only_is_so_under_every_operation():
    told = sm.quorums.LeaderLoad().latency
    assert told.highest_level == 0.99
    for whole in (told + sm.Exponential(1e-4), told + told, sm.mixture((0.5, 0.5), (told, sm.Exponential(0.001)))):
        assert whole.highest_level == 0.99
        with pytest.raises(sm.NoClosedForm, match="p99 only"):
            whole.icdf(0.999)
    assert sm.slowest(*[told] * 10).highest_level == pytest.approx(0.99**10, rel=1e-6)
    assert sm.fastest(told, told).highest_level == pytest.approx(1.0 - 0.01**2, rel=1e-6)
    assert sm.slowest(told, sm.Exponential(1e-6)).highest_level == pytest.approx(0.99, rel=1e-6)
    with pytest.raises(sm.NoClosedForm, match="up to p90"):
        sm.slowest(*[told] * 10).icdf(0.99)
    wait = sm.Exponential(0.001)
    shared = sm.slowest(*[wait + sm.Exponential(0.002)] * 2, told, shared=wait)
    assert shared.highest_level < 0.99


def test_the_mean_of_a_kth_smallest_is_not_known_by_means_alone():
    near, far = sm.MeanOnly(0.010), sm.MeanOnly(0.020)
    assert sm.k_of_n(1, [near]).mean_known
    assert (near + far + 0.001).mean_known
    assert sm.mixture((0.5, 0.5), (near, far)).mean_known
    wait = sm.Exponential(0.001)
    for unknown in (
        sm.slowest(near, far),
        sm.slowest(near, sm.Exponential(0.010)) + 0.001,
        sm.slowest(near + wait, far + wait, shared=wait),
        sm.slowest(sm.slowest(near, far) + wait, sm.Exponential(0.010)),
    ):
        assert not unknown.mean_known
        assert unknown.highest_level == 0.0
