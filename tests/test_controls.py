"""Control variates: the least-squares plane's intercept, its error, and what it gains on a pool."""

import numpy as np

import scaling_models as sm
from scaling_models.montecarlo.controls import Controls
from scaling_models.montecarlo.estimates import SimulatedLatency, from_batches


def test_the_corrected_mean_is_the_intercept_of_the_least_squares_plane():
    rng = np.random.default_rng(1)
    deviations, values = rng.normal(0.1, 1.0, (64, 2)), rng.normal(size=64)
    values = values + deviations @ [2.0, -1.0]
    plane, *_ = np.linalg.lstsq(np.column_stack([np.ones(64), deviations]), values, rcond=None)
    found = from_batches(values, Controls(deviations))
    assert np.isclose(found.value, plane[0], rtol=1e-12)
    assert found.freedom == 61
    assert np.isclose(Controls(deviations).weights.sum(), 1.0, rtol=1e-12)


def test_without_controls_it_is_the_plain_mean_and_a_constant_is_no_control():
    values = np.random.default_rng(2).normal(size=64)
    for controls in (None, Controls.none(64), Controls(np.full((64, 1), 1e-16))):
        found = from_batches(values, controls)
        assert np.isclose(found.value, values.mean(), rtol=1e-12)
        assert np.isclose(found.error, values.std(ddof=1) / 8.0, rtol=1e-12)
        assert found.freedom == 63


def test_intervals_cover_where_the_spread_grows_with_the_control():
    """10,000 repetitions, y = d + d^2 noise: a count below 9,413 or above 9,585 has probability 1e-4 at a true 95%."""
    rng = np.random.default_rng(3)
    deviations = rng.normal(0.0, 1.0, (10_000, 64))
    values = deviations + (1.0 + deviations) ** 2 * rng.normal(size=deviations.shape)
    covered = 0
    for d, y in zip(deviations, values, strict=True):
        low, high = from_batches(y, Controls(d[:, None])).interval()
        covered += low <= 0.0 <= high
    assert 9_413 <= covered <= 9_585, covered


def test_a_pool_is_known_better_for_them():
    """Variances over 60 runs of M/M/10 at 70%: at least halved for the mean (equal ones would differ so by chance in
    0.4% of all seeds, F with 59 and 59 degrees of freedom)."""
    runs = [sm.CentralQueue(700.0, 10).simulate(100_000, seed).latency for seed in range(60)]
    plain = np.array([SimulatedLatency(run.batches).mean() for run in runs])
    corrected = np.array([run.mean() for run in runs])
    exact = sm.CentralQueue(700.0, 10).latency.mean()
    assert abs(corrected.mean() - exact) < 5.0 * corrected.std() / np.sqrt(60)
    assert plain.var(ddof=1) > 2.0 * corrected.var(ddof=1)


def test_quantiles_are_those_at_which_the_corrected_share_is_reached():
    found = sm.RandomSplit(700.0, 10).simulate(100_000, seed=4).latency
    for level in (0.5, 0.95, 0.99):
        t = float(found.icdf(level))
        assert abs(found.ccdf_estimate(t).value - (1.0 - level)) < 3.0 / found.size
        assert abs(float(found.cdf(t)) - level) < 3.0 / found.size
