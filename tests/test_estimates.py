"""Estimates from batches, from samples and from counts in bins: they agree, and are a distribution's faces."""

import math

import numpy as np
import pytest
from scipy import stats

from scaling_models.montecarlo.bins import BinnedLatency, Counts, codes, edges
from scaling_models.montecarlo.controls import Controls
from scaling_models.montecarlo.estimates import Estimate, SimulatedLatency, from_batches, proportion, ratio


def test_batches_of_unequal_sizes_weigh_by_size():
    assert ratio([1.0, 3.0], [1.0, 1.0]) == from_batches([1.0, 3.0])
    found = ratio([2.0, 30.0, 2.0], [1.0, 10.0, 1.0], scale=2.0)
    assert found.value == pytest.approx(2.0 * 34.0 / 12.0)
    rest = np.array([2.0, 30.0, 2.0]) - 34.0 / 12.0 * np.array([1.0, 10.0, 1.0])
    assert found.error == pytest.approx(2.0 * rest.std(ddof=1) / math.sqrt(3) / 4.0)


def test_bins_hold_their_samples_and_answer_as_the_samples_do():
    rng = np.random.default_rng(5)
    times = np.where(rng.random((2000, 128)) < 0.3, 0.0, rng.lognormal(0.0, 2.0, (2000, 128)))
    batch = np.repeat(np.arange(64), 2)
    found = edges()[codes(times)]
    assert (found <= times).all()
    assert (times < edges()[codes(times) + 1]).all()
    assert (np.diff(edges()[1:-1]) / edges()[1:-2] <= 2 * BinnedLatency.resolution).all()
    kept = SimulatedLatency(times.T.reshape(64, -1))
    binned = BinnedLatency(Counts.of(times[:700], batch, 64).plus(Counts.of(times[700:], batch, 64)))
    levels = np.array([0.0, 0.1, 0.299, 0.31, 0.5, 0.95, 0.999, 1.0])
    np.testing.assert_allclose(binned.icdf(levels)[1:-1], kept.icdf(levels)[1:-1], rtol=2 * binned.resolution)
    assert binned.size == kept.size
    assert binned.mean() == pytest.approx(kept.mean(), rel=1e-12)
    assert binned.variance() == pytest.approx(kept.variance(), rel=1e-9)
    assert binned.off_the_atom() == kept.off_the_atom()
    for t in (0.0, 0.01, 1.0, 30.0):
        np.testing.assert_allclose(binned.beyond(t), kept.beyond(t), atol=0.02 * kept.beyond(t).max())
        assert binned.ccdf(t) == pytest.approx(kept.ccdf(t), abs=1e-3)
    assert binned.interval(0.95) == pytest.approx(kept.interval(0.95), rel=5e-3)
    for extreme in (1e-300, 1e300):
        far = BinnedLatency(Counts.of(np.full((4, 128), extreme), batch, 64))
        assert far.size == 512


def test_a_step_without_a_sample_is_not_counted():
    times = np.random.default_rng(1).random((100, 128))
    times[::3] = np.nan
    counted = BinnedLatency(Counts.of(times, np.arange(128) // 2, 64))
    assert counted.size == 66 * 128
    assert counted.mean() == pytest.approx(np.nanmean(times))


def test_estimates_are_students():
    rng = np.random.default_rng(1)
    values = rng.normal(5.0, 2.0, 30)
    found = from_batches(values)
    expected = stats.t.interval(0.95, 29, loc=values.mean(), scale=values.std(ddof=1) / math.sqrt(30))
    np.testing.assert_allclose(found.interval(0.95), expected)
    assert float(found) == pytest.approx(values.mean())
    assert proportion(np.zeros(10), 1000).error == pytest.approx(1e-3, rel=0.01)


def test_simulated_latency_has_the_faces_of_a_distribution():
    samples = np.arange(1, 101, dtype=float).reshape(10, 10)
    found = SimulatedLatency(samples)
    assert found.icdf(0.5) == 50.0
    assert found.cdf(50.0) == pytest.approx(0.5)
    assert found.ccdf(99.5) == pytest.approx(0.01)
    np.testing.assert_array_equal(found.percentiles(50, 99), [50.0, 99.0])
    assert found.mean() == 50.5
    assert found.interval(0.99)[1] == math.inf
    low, high = found.interval(0.5)
    assert low < 50 < high


@pytest.mark.parametrize("atom", [1.0, 1.0 + 2.0**-10, np.nextafter(1.0 + 2.0**-9, 0.0), 0.3])
def test_an_atom_is_found_within_the_resolution_wherever_in_its_bin_it_lies(atom):
    """Of times that are all alike a bin tells its place only: half a bin, once stated, was less than the error."""
    times = np.full((400, 64), atom)
    times[:4] = 5.0
    binned = BinnedLatency(Counts.of(times, np.arange(64), 64))
    levels = np.array([0.01, 0.5, 0.95, 0.985])
    assert (abs(binned.icdf(levels) / atom - 1.0) <= binned.resolution).all()
    assert binned.ccdf_estimate(atom * (1.0 - binned.resolution)).value == pytest.approx(1.0)
    assert binned.ccdf_estimate(atom * (1.0 + binned.resolution)).value == pytest.approx(0.01)


def test_the_interval_of_an_atom_in_bins_holds_it():
    """Ten million constants fall in one bin: where in it they lie, nobody knows."""
    times = np.where(np.random.default_rng(1).random((5000, 64)) < 0.7, 0.01, 0.02)
    binned = BinnedLatency(Counts.of(times, np.arange(64), 64))
    for level, atom in ((0.5, 0.01), (0.9, 0.02)):
        low, high = binned.interval(level)
        assert low <= atom <= high
        assert high - low <= 2.0 * binned.resolution * atom


def test_a_confidence_that_is_none_is_refused_and_a_share_stays_in_its_range():
    for ask in (Estimate(1.0, 0.1, 10).interval, lambda c: SimulatedLatency(np.ones((20, 10))).interval(0.5, c)):
        with pytest.raises(ValueError, match=r"confidence must lie in \[0, 1\), a fraction; got 95"):
            ask(95)
    assert Estimate(0.0, 0.1, 10, trials=100).interval()[0] == 0.0
    assert Estimate(1.0, 0.1, 10, trials=100).interval()[1] == 1.0
    assert Estimate(0.0, 0.1, 10).interval()[0] < 0.0


def test_both_simulated_latencies_have_the_samples_variance():
    """Whatever the controls do to the mean: the variance is that of the samples as the controls weigh them."""
    rng = np.random.default_rng(1)
    times = rng.standard_exponential((20, 400)) + rng.standard_exponential((20, 1))
    controls = Controls(times.mean(axis=1, keepdims=True) - 2.0 + 0.1 * rng.standard_normal((20, 1)))
    weights = controls.weights
    assert np.ptp(weights) > 0.01
    binned = BinnedLatency(Counts.of(times.T.copy(), np.arange(20), 20), controls)
    mean = float(weights @ times.mean(axis=1))
    expected = float(weights @ (times**2).mean(axis=1)) - mean**2
    for found in (binned, SimulatedLatency(times, controls)):
        assert found.mean() == pytest.approx(mean, rel=1e-12)
        assert found.variance() == pytest.approx(expected, rel=1e-9)
