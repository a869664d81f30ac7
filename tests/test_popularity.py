"""Popularities: shares, groups and sums agree; files are read whole or refused with line and column."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pasting import pasted

from scaling_models.shards import (
    POPULARITIES,
    Cached,
    LRUCached,
    Measured,
    Salted,
    ScrambledZipf,
    ShardLoad,
    Shares,
    Uniform,
    UniformKeys,
    Zipf,
    twitter_cluster,
    zipf_alpha,
    zipf_alphas,
)

COUNTS = st.lists(st.integers(0, 10**6), min_size=1, max_size=3000).filter(any)
LAWS = st.one_of(
    st.builds(Zipf, st.integers(1, 20_000), st.floats(0.0, 3.0)),
    st.builds(ScrambledZipf, st.integers(1, 20_000), st.floats(0.0, 3.0)),
    st.builds(UniformKeys, st.integers(1, 20_000)),
    st.builds(lambda counts: Measured(tuple(counts)), COUNTS),
    st.builds(lambda counts: Shares(tuple(count / sum(counts) for count in counts)), COUNTS),
)


@given(LAWS, st.integers(0, 100))
@settings(max_examples=80, deadline=None)
def test_shares_groups_and_squares_are_of_one_popularity(law, after):
    shares = law.shares()
    assert len(shares) == law.size
    assert (np.diff(shares) <= 1e-15).all()
    assert shares.sum() == pytest.approx(law.total, rel=1e-9)
    assert law.sum_of_squares() == pytest.approx((shares**2).sum(), rel=1e-9)
    np.testing.assert_allclose(law.top(after), shares[:after])
    means, counts = law.groups(min(after, law.size))
    assert counts.sum() == law.size - min(after, law.size)
    assert (means * counts).sum() == pytest.approx(shares[after:].sum(), rel=1e-9, abs=1e-12)


def test_equal_keys_are_zipf_of_exponent_zero():
    assert Uniform is UniformKeys
    np.testing.assert_allclose(UniformKeys(1000).shares(), Zipf(1000, 0.0).shares())
    assert UniformKeys(10**9).sum_of_squares() == pytest.approx(1e-9)
    assert UniformKeys(5).groups(5)[1].sum() == 0


def test_the_scrambled_variant_is_flatter_than_zipf_over_its_own_items():
    """Ten billion ranks hashed to 1,000 items, the first 100,000 dealt one by one: the hottest item's mean share."""
    law = ScrambledZipf(1000, 0.99)
    assert law.top(1)[0] == pytest.approx(1 / 26.46902820178302 + (1 - 7.7289 / 26.469) / 1000, rel=1e-3)
    assert ScrambledZipf().top(1)[0] == pytest.approx(0.0378, abs=5e-5)
    assert Zipf().top(1)[0] == pytest.approx(0.065, abs=5e-4)
    ranks = Zipf(10**10, 0.99).top(100_000)
    rng = np.random.default_rng(3)
    dealt = [np.bincount(rng.integers(0, 1000, len(ranks)), ranks, 1000) for _ in range(50)]
    hottest = np.mean([loads.max() for loads in dealt]) + (1 - ranks.sum()) / 1000
    assert law.top(1)[0] == pytest.approx(hottest, rel=0.02)  # it may meet other ranks below the thousandth
    tenth = np.mean([np.sort(loads)[-10] for loads in dealt]) + (1 - ranks.sum()) / 1000
    assert law.top(10)[-1] == pytest.approx(tenth, rel=0.05)


def test_counts_are_read_from_a_file(tmp_path):
    path = tmp_path / "keys.csv"
    path.write_text("# of one day\nkey,count\na,1\nb,3\n\nc,0\n")
    law = Measured.read(path)
    assert law == Measured((1, 3, 0))
    np.testing.assert_allclose(law.shares(), [0.75, 0.25, 0.0])
    assert eval(repr(law), pasted()) == law
    assert hash(law) == hash(Measured((1, 3, 0)))
    path.write_text("key;n,hits\na,2\n")
    assert Measured.read(path, "hits").counts == (2,)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("key,count\na,1\nb,-3\n", "keys.csv line 3, column count: '-3' is not a count"),
        ("key,count\na,1\nb,many\n", "keys.csv line 3, column count: 'many' is not a number"),
        ("key,count\na,1.5\n", "keys.csv line 2, column count: '1.5' is not a count"),
        ("key,count\na,\n", "keys.csv line 2, column count: empty"),
        ("key,count\na,1\nb\n", "keys.csv line 3 has 1 cells under 2 columns"),
        ("", "keys.csv has no header line"),
        ("key,count\n", "keys.csv, column count: there must be a count above 0"),
        ("key,count\na,0\n", "keys.csv, column count: there must be a count above 0"),
        ("key,n\na,0\n", "there is no column 'count', only key, n"),
    ],
)
def test_a_bad_file_is_refused_with_line_and_column(tmp_path, text, says):
    path = tmp_path / "keys.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=re.escape(says)):
        Measured.read(path)


def test_a_file_too_large_is_refused(tmp_path):
    path = tmp_path / "keys.csv"
    path.write_text("key,count\n" + "a,1\n" * 1000)
    with pytest.raises(ValueError, match="more than 100 bytes"):
        Measured.read(path, limit=100)


def test_bad_popularities_are_refused():
    with pytest.raises(ValueError, match=r"must sum to 1; they sum to 0.9"):
        Shares((0.5, 0.4))
    with pytest.raises(ValueError, match=r"Shares.each_key\[1\] must lie in \[0, 1\]"):
        Shares((0.5, -0.4))
    with pytest.raises(ValueError, match=r"Measured.counts\[1\] must be a whole number"):
        Measured((3, -1))
    with pytest.raises(ValueError, match="all are 0"):
        Measured((0, 0))
    with pytest.raises(ValueError, match="must have 1 to"):
        Measured(())
    with pytest.raises(ValueError, match="to be listed"):
        UniformKeys(10**9).shares()


def test_twitters_clusters_have_names():
    assert len(zipf_alphas()) == 51
    assert zipf_alpha("cluster4") == 1.1004
    assert twitter_cluster("cluster4", 1000) == Zipf(1000, 1.1004)
    with pytest.raises(ValueError, match=r"cluster must be one of cluster1, .*; got 'cluster99'"):
        zipf_alpha("cluster99")


@pytest.mark.parametrize("kind", POPULARITIES, ids=lambda kind: kind.__name__)
def test_kinds_are_known_at_the_top(kind):
    assert eval(repr(kind()), pasted()) == kind()


def test_what_a_cache_leaves_keeps_its_digits_far_down_the_tail():
    """Sums of what lies after a rank, smallest first: to 1e-11, where differences of harmonic numbers are nothing."""
    for exponent, held in ((0.0, 500), (1.0, 70), (3.0, 20_000), (5.0, 10_000), (9.5, 900)):
        law = Zipf(100_000, exponent)
        left = (np.arange(100_000, held, -1, dtype=float) ** -exponent).sum() / law._total
        assert Cached(law, held).total == pytest.approx(left, rel=1e-11)
    far = ShardLoad(8, Cached(Zipf(100_000, 5.0), 10_000))  # 2e-17 of the requests
    near = ShardLoad(8, Shares(Zipf(100_000, 5.0).ranks(10_000, 100_000) / Cached(Zipf(100_000, 5.0), 10_000).total))
    assert far.imbalance.mean() == pytest.approx(near.imbalance.mean(), rel=2e-3)  # of bins a tenth wide


@given(LAWS, st.integers(0, 100), st.integers(0, 100))
@settings(max_examples=60, deadline=None)
def test_ranks_are_those_of_the_list(law, first, more):
    assert law.ranks(first, first + more).tolist() == law.shares()[first : first + more].tolist()


def test_ranks_of_many_keys_are_not_listed():
    """Ten thousand million keys: half of them in a cache."""
    left = Cached(Zipf(10**10), 5 * 10**9)
    assert left.ranks(0, 2).tolist() == Zipf(10**10).ranks(5 * 10**9, 5 * 10**9 + 2).tolist()
    assert left.total == pytest.approx(1.0 - Zipf(10**10).drawn_by(5 * 10**9), rel=0.02)  # within a bin
    salted = Salted(Zipf(1000), hot_keys=2, pieces=3)
    np.testing.assert_allclose(salted.ranks(1, 9), salted.shares()[1:9])


def test_a_cache_that_answers_everything_is_refused():
    asked = Measured((10, 5, 3, 0, 0, 0, 0))
    for cached in (lambda: Cached(asked, 3), lambda: LRUCached(asked, 5)):
        with pytest.raises(ValueError, match="all that anybody asks for: nothing is left for the shards"):
            cached()
    assert ShardLoad(4, LRUCached(asked, 2)).hottest_share.mean() > 0.0
