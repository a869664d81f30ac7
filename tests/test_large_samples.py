"""Sums and quorums of large samples, and of several unlike laws: precise into the tail, and bounded in work."""

import itertools

import numpy as np
import pytest

import scaling_models as sm
from scaling_models.latency import ladders
from scaling_models.latency.condensed import Condensed, condensed
from scaling_models.latency.residual import Residual
from scaling_models.latency.tables import Table

LEVELS = np.array([0.5, 0.1, 0.01, 1e-3, 1e-4, 1e-6, 1e-8, 1e-9])
LOWER = np.array([1e-6, 1e-3, 0.1])
SIZE = 20_000
SMOOTH = [
    sm.LogNormal(0.005, 1.0),
    sm.Exponential(0.004),
    sm.Erlang(0.004, 3),
    sm.Shifted(sm.LogNormal(0.002, 0.1), 0.05),
]


def sample(size: int, seed: int, mean: float = 0.010) -> sm.Empirical:
    return sm.Empirical((0.001 + np.random.default_rng(seed).gamma(2.0, mean / 2.0, size)).tolist())


def unlike(count: int) -> list[sm.Distribution]:
    kinds = itertools.cycle(
        [
            lambda i: sm.LogNormal(0.004 + 0.001 * i, 0.5 + 0.1 * i),
            lambda i: sm.Shifted(sm.Erlang(0.004, 2 + i), 0.001),
            lambda i: sm.Exponential(0.004 + 0.001 * i),
        ]
    )
    return [next(kinds)(i) for i in range(count)]


@pytest.mark.parametrize("smooth", SMOOTH, ids=repr)
def test_a_sample_and_a_smooth_law_keep_their_relative_precision(smooth):
    """Against the mean over all samples: 1e-6 in the ccdf down to 1e-9 and in the cdf down to 1e-6."""
    large = sample(SIZE, 1)
    total, x = large + smooth, np.array(large.samples)
    t = total.iccdf(LEVELS)
    np.testing.assert_allclose(total.ccdf(t), [smooth.ccdf(at - x).mean() for at in t], rtol=1e-6)
    t = total.icdf(LOWER)
    np.testing.assert_allclose(total.cdf(t), [smooth.cdf(at - x).mean() for at in t], rtol=1e-4)
    np.testing.assert_allclose(total.ccdf(t), [smooth.ccdf(at - x).mean() for at in t], rtol=1e-7)


def test_quantiles_of_the_sum_of_two_samples_are_those_of_all_pairs():
    """Single pairs stand apart in the far tail, and are smeared over two of the lattice's steps: 4/65,536 each."""
    first, second = sample(5000, 1), sample(2000, 2)
    pairs = np.sort(np.add.outer(first.samples, second.samples), axis=None)
    levels = np.array([0.9, 0.5, 0.1, 0.01, 1e-3, 1e-5, 3e-7])
    exact = pairs[len(pairs) - 1 - np.floor(levels * len(pairs) + 1e-9).astype(int)]
    total = first + second
    np.testing.assert_allclose(total.iccdf(levels), exact, rtol=2 * 4 / ladders.CELLS)
    np.testing.assert_allclose(total.iccdf(levels[:3]), exact[:3], rtol=5e-6)
    assert total.mean() == pytest.approx(pairs.mean(), rel=1e-12)
    assert total.support == pytest.approx((pairs[0], pairs[-1]))
    assert float(total.ccdf(pairs[-1])) == 0.0


def test_sums_of_three_samples_were_refused_and_are_those_of_their_draws():
    """400,000 draws: six standard errors at four levels, 1e-8 in all."""
    total = sample(3000, 1) + sample(3000, 2) + sample(3000, 3, 0.002)
    drawn = total.sample(400_000, rng=4)
    for p in (0.5, 0.1, 0.01, 1e-3):
        assert abs((drawn > total.iccdf(p)).mean() - p) < 6.0 * np.sqrt(p * (1.0 - p) / len(drawn))


@pytest.mark.parametrize("size", [1000, SIZE], ids=["summed one by one elsewhere", "convolved everywhere"])
def test_a_mixture_and_a_residual_of_samples_are_put_on_the_lattice_by_their_parts(size):
    """What is left of a sample's time, against its own integral; and the mixture against its parts, weighted."""
    large = sample(size, 1)
    x, rest = np.sort(large.samples), Residual(large)
    t = rest.iccdf(LEVELS[:6])
    np.testing.assert_allclose(rest.ccdf(t), [np.maximum(x - at, 0.0).mean() / x.mean() for at in t], rtol=1e-12)
    after, smooth = sm.mixture((0.3, 0.7), (large, large + rest)), sample(size, 5, 0.003)
    parts = (large + smooth, large + rest + smooth)
    t = parts[1].iccdf(LEVELS)
    both = 0.3 * parts[0].ccdf(t) + 0.7 * parts[1].ccdf(t)
    np.testing.assert_allclose((after + smooth).ccdf(t), both, rtol=2e-6)


def test_the_quorum_of_samples_is_counted():
    """Against the product over all their steps, at once after each of some of them."""
    laws = [sample(3000, seed) for seed in range(3)]
    middle = sm.k_of_n(2, laws)
    drawn = np.sort(np.concatenate([law.samples for law in laws]))
    f = [law.cdf(drawn) for law in laws]
    cdf = f[0] * f[1] + f[0] * f[2] + f[1] * f[2] - 2 * f[0] * f[1] * f[2]
    assert middle.mean() == pytest.approx(drawn[0] + ((1.0 - cdf[:-1]) * np.diff(drawn)).sum(), rel=1e-12)
    places, masses = middle.atom_table
    assert masses.sum() == pytest.approx(1.0, abs=1e-12)
    assert len(places) <= len(drawn)
    assert middle.icdf(0.5) == drawn[np.searchsorted(cdf, 0.5)]


def test_a_table_stands_for_a_costly_law_into_both_tails():
    """1e-9 in the ccdf down to 1e-12, in the density 1e-6; the law itself is asked a thousand times at most."""
    law = sm.k_of_n(3, unlike(5))
    table = condensed(law)
    assert isinstance(table, Condensed)
    t = np.concatenate([law.icdf([1e-4, 1e-2, 0.3]), law.iccdf([*LEVELS, 1e-12])])
    np.testing.assert_allclose(table.ccdf(t), law.ccdf(t), rtol=1e-9)
    np.testing.assert_allclose(table.pdf(t), law.pdf(t), rtol=1e-6)
    assert len(table._table.low) * 14 < 1000
    assert condensed(sm.Exponential(0.01)) == sm.Exponential(0.01)


def test_the_sum_of_unlike_laws_is_that_of_a_finer_integral():
    """sum over a fine rule of f_A(x) S_B(t - x): 1e-7 from 0.5 to 1e-9."""
    first, second = sm.k_of_n(2, unlike(4)), sm.slowest(*unlike(3))
    total = first + second
    for at, known in zip(t := total.iccdf(LEVELS), total.ccdf(t), strict=True):
        edges = np.unique(np.concatenate([np.linspace(0.0, at, 400), first.kinks, at - np.array(second.kinks)]))
        edges = edges[(edges >= 0.0) & (edges <= at)]
        x, w = sm.latency.quadrature.panels(edges, 20)
        exact = float((w * first.pdf(x)) @ second.ccdf(at - x)) + float(first.ccdf(at))
        assert known == pytest.approx(exact, rel=1e-7)


def test_a_slider_that_leaves_the_parts_leaves_their_tables(monkeypatch):
    model = sm.quorums.EPaxos(
        tuple(unlike(4)), sm.LogNormal(0.002, 1.0), client_legs=(sm.Erlang(0.004, 2),), conflict=0.2
    )
    model.write_latency.icdf(0.99)
    made, build = [], Table.__init__
    monkeypatch.setattr(
        Table, "__init__", lambda self, *given, **named: (made.append(1), build(self, *given, **named))[1]
    )
    model.replace(conflict=0.21).write_latency.icdf(0.99)
    assert len(made) <= 2  # the mixture's, and that of the journey and it


def test_models_over_measured_legs_have_bounded_tables():
    """Each model with its own 2,000 round trips a follower: tables within a few lattices, kinks the ends alone."""
    laws = tuple(sample(2000, seed, 0.004 + 0.001 * seed) for seed in range(4))
    legs, disk = (sample(2000, 7), sample(2000, 8)), sample(2000, 9, 0.002)
    for kind in (sm.quorums.Raft, sm.quorums.BasicPaxos, sm.quorums.FlexiblePaxos, sm.quorums.EPaxos):
        for way in ("counted", "required", "before_send"):
            write = kind(laws, disk, way, client_legs=legs).write_latency
            assert len(write.kinks) == 2
            assert len(write.cuts) < 200
            assert len(write._survival.times) < 10 * ladders.CELLS
            assert (np.diff(write.icdf([0.01, 0.5, 0.99, 0.9999])) > 0.0).all()
    shared = sm.quorums.Raft(laws, disk, "counted", shared_delays=legs[:1]).commit_latency
    drawn = shared.sample(100_000, rng=5)
    for p in (0.5, 0.1, 0.01):  # six standard errors: 6e-9 in all
        assert abs((drawn > shared.iccdf(p)).mean() - p) < 6.0 * np.sqrt(p * (1.0 - p) / len(drawn)) + 1e-4
    assert shared.mean() == pytest.approx(drawn.mean(), abs=6.0 * drawn.std() / np.sqrt(len(drawn)))
    assert len(shared.cuts) < 2000


def test_the_staleness_behind_samples_is_that_of_played_messages():
    """Cells stand for 3,000 samples a leg: six standard errors of 300,000 reads at five ages, 1e-8 in all."""
    legs = sm.quorums.OwnLegs(sample(3000, 1), *(sample(3000, seed, 0.004) for seed in (2, 3, 4)))
    model = sm.quorums.PartialQuorum(3, 1, 1, legs, between=0.002)
    played = model.simulate(300_000, 1).visibility
    for age in (0.0, 0.001, 0.003, 0.01, 0.02):
        p = float(model.visibility.ccdf(age))
        assert abs(float(played.ccdf(age)) - p) < 6.0 * np.sqrt(p * (1.0 - p) / 300_000)
