"""The Universal Scalability Law, its inverses, its fit, and the curve as a model.

False-alarm rate of the statistical tests below 1e-6 in all; seeds are fixed.
"""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

import scaling_models as sm
from scaling_models.answers import answer
from scaling_models.scalability import (
    fit_usl,
    usl_efficiency,
    usl_knee,
    usl_latency,
    usl_limit,
    usl_nodes_at_latency,
    usl_nodes_at_throughput,
    usl_peak,
    usl_throughput,
    usl_throughput_at_latency,
)
from scaling_models.scalability.fit import HELD, solve
from scaling_models.shards import ScalingCurve

RATES, SHARES = st.floats(1e-3, 1e6), st.one_of(st.just(0.0), st.floats(1e-6, 0.99))
COSTS = st.one_of(st.just(0.0), st.floats(1e-8, 0.1))
NODES = np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 48.0, 64.0])


@given(RATES, SHARES, COSTS)
def test_one_node_does_its_rate_and_the_peak_is_the_most(g, a, b):
    assert usl_throughput(1.0, g, a, b) == g
    peak = usl_peak(a, b)
    near = peak if math.isfinite(peak) else 1e9
    assert usl_throughput(near, g, a, b) >= usl_throughput(near * np.array([0.9, 1.1]), g, a, b).max() * (
        1 - 1e-12
    ) or (b == 0)
    if b == 0:
        assert usl_throughput(1e15, g, a, 0.0) == pytest.approx(min(usl_limit(g, a), 1e15 * g), rel=1e-8)


@given(RATES, SHARES, COSTS, st.floats(1.0, 1e5))
def test_inverses(g, a, b, n):
    latency = usl_latency(n, g, a, b)
    if a + b > 0 and a * (n - 1) + b * n * (n - 1) > 1e-6:
        rounding = 1e-14 * (1.0 + 1.0 / (a * n + b * n * n))
        assert usl_nodes_at_latency(latency, g, a, b) == pytest.approx(n, rel=100 * rounding)
        assert usl_throughput_at_latency(latency, g, a, b) == pytest.approx(n / latency, rel=100 * rounding)
    if n < 0.9 * usl_peak(a, b):
        done = usl_throughput(n, g, a, b)
        assert usl_nodes_at_throughput(done, g, a, b) == pytest.approx(n, rel=1e-8 / (1.0 - done * a / g + 1e-3))


def test_what_is_never_reached_is_infinite():
    assert usl_nodes_at_throughput(1001.0, 10.0, 0.01, 0.0) == math.inf  # above g / a
    assert usl_nodes_at_throughput(usl_throughput(30.0, 10.0, 0.1, 0.001) * 1.01, 10.0, 0.1, 0.001) == math.inf
    assert usl_nodes_at_throughput(usl_throughput(30.0, 10.0, 0.1, 0.001), 10.0, 0.1, 0.001) == pytest.approx(
        30.0, rel=1e-5
    )  # the peak itself, where the slope is nothing
    assert usl_nodes_at_latency(0.2, 10.0, 0.0, 0.0) == math.inf
    assert usl_nodes_at_latency(0.05, 10.0, 0.0, 0.0) == 0.0
    assert usl_peak(1.0, 0.0) == 0.0
    assert usl_knee(0.0) == usl_limit(1.0, 0.0) == usl_peak(0.5, 0.0) == math.inf


def test_the_inverse_that_a_peer_gets_wrong():
    """usl4j 0.7.0 answers 29,726 at the latency of 20 clients of its own fit, where they do 11,064."""
    law = (995.6486, 0.02671591, 7.690945e-4)
    assert usl_throughput_at_latency(usl_latency(20.0, *law), *law) == pytest.approx(11_064, abs=1)


def test_functions_broadcast_and_refuse():
    assert usl_throughput([[1.0], [2.0]], 100.0, [0.0, 0.1, 0.2], 0.0).shape == (2, 3)
    assert usl_efficiency([1.0, 8.0], 0.1, 0.01)[0] == 1.0
    for call, sentence in [
        (lambda: usl_throughput(-1.0, 1.0, 0.0, 0.0), r"nodes must lie in \[0, inf\) nodes; got -1.0"),
        (lambda: usl_throughput(1.0, 0.0, 0.0, 0.0), r"rate must lie in \(0, inf\) requests/s; got 0.0"),
        (lambda: usl_peak(1.5, 0.0), r"contention must lie in \[0, 1\]; got 1.5"),
        (lambda: usl_peak(0.5, math.nan), r"coherency must lie in \[0, inf\); got nan"),
        (lambda: usl_throughput_at_latency(0.0, 1.0, 0.0, 0.0), r"latency must lie in \(0, inf\) s; got 0.0"),
    ]:
        with pytest.raises(ValueError, match=sentence):
            call()


@given(st.floats(1.0, 1e5), st.floats(0.0, 0.9), st.floats(0.0, 0.01))
def test_points_without_error_are_fitted_exactly(g, a, b):
    found = fit_usl(NODES, usl_throughput(NODES, g, a, b))
    assert found.rate == pytest.approx(g, rel=1e-6)
    assert found.contention == pytest.approx(a, abs=1e-6)
    assert found.coherency == pytest.approx(b, abs=1e-8)
    assert found.interval("peak")[0] <= found.interval("peak")[1]


def noisy(seed, g=1000.0, a=0.03, b=1e-4, noise=0.02, nodes=NODES):
    clean = usl_throughput(nodes, g, a, b)
    return nodes, clean + noise * clean.mean() * np.random.default_rng(seed).standard_normal(len(nodes))


def test_the_fit_is_that_of_another_search():
    """No other start or method finds a lesser sum of squares: Nelder and Mead's from the truth, unbounded inside."""
    for seed in range(5):
        n, x = noisy(seed)
        found = fit_usl(n, x)

        def squares(p, n=n, x=x):
            return float(np.sum((x - p[0] * n / (1 + abs(p[1]) * (n - 1) + abs(p[2]) * n * (n - 1))) ** 2))

        other = optimize.minimize(
            squares, [1000.0, 0.03, 1e-4], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-9, "maxiter": 4000}
        )
        assert np.square(found.residuals).sum() <= other.fun * (1 + 1e-9)
        assert found.rate == pytest.approx(other.x[0], rel=1e-3)


def test_a_parameter_at_its_bound_is_zero_and_its_interval_begins_there():
    table = sm.data.scaling_curves()
    ray = table[table.system == "raytracer"]
    curve, fit = ScalingCurve.fit(ray)
    assert fit.coherency == 0.0
    assert curve.peak_nodes == math.inf
    low, high = fit.interval("coherency")
    assert low == 0.0
    assert 0 < high < 1e-3
    assert fit.interval("peak")[1] == math.inf
    assert fit.interval("peak")[0] == pytest.approx(math.sqrt((1 - fit.contention) / high), rel=0.1)
    # The R package's own standard errors of this fit (its intervals, +- 1.8125 of them).
    assert fit.standard_errors == pytest.approx((2.19612, 0.0132924, 1.1807e-4), rel=2e-3)


def test_intervals_hold_what_they_say():
    """200 fits to noisy points: the truth lies within the 95% profile in 95 of 100, by the same sums of squares."""
    truth = {"rate": 1000.0, "contention": 0.03, "coherency": 1e-4, "bend": 1e-4 / 0.97}
    inside = dict.fromkeys(truth, 0)
    for seed in range(200):
        n, x = noisy(seed)
        fit = fit_usl(n, x)
        allowed = np.square(fit.residuals).sum() * (1 + stats.t.ppf(0.975, 5) ** 2 / 5)
        for name, value in truth.items():
            inside[name] += solve(n, x, np.ones_like(n), HELD[name](n, value))[1] <= allowed
    for name, count in inside.items():
        assert stats.binom.cdf(count, 200, 0.95) > 1e-7, (name, count)
        assert name in ("coherency", "bend", "contention") or stats.binom.sf(count, 200, 0.95) > 1e-7, (name, count)


def test_an_interval_ends_where_the_points_are_fitted_so_much_worse():
    n, x = noisy(7)
    fit = fit_usl(n, x)
    allowed = np.square(fit.residuals).sum() * (1 + stats.t.ppf(0.95, 5) ** 2 / 5)
    for name in ("rate", "contention", "coherency", "peak"):
        for end in fit.interval(name, 0.9):
            held = HELD["bend"](n, end**-2.0) if name == "peak" else HELD[name](n, end)
            if 0 < end < math.inf:
                assert solve(n, x, np.ones_like(n), held)[1] == pytest.approx(allowed, rel=1e-3)
        low, high = fit.interval(name)
        assert low < getattr(fit, name) < high


def test_outliers_cost_little_with_a_robust_loss():
    nodes = np.arange(1.0, 25.0)
    errors = {}
    for loss in ("linear", "huber", "soft_l1"):
        off = []
        for seed in range(8):
            n, x = noisy(seed, nodes=nodes)
            x[np.random.default_rng(1000 + seed).choice(24, 3, replace=False)] *= 0.6
            off.append(abs(fit_usl(n, x, loss=loss).rate / 1000.0 - 1.0))
        errors[loss] = np.median(off)
    assert errors["huber"] < 0.6 * errors["linear"]
    assert errors["soft_l1"] < 0.6 * errors["linear"]


def test_fits_refuse_what_tells_too_little():
    for n, x, sentence in [
        ([1, 2, 4], [1, 2, 3], "needs at least 4 points at 3 different numbers of nodes; got 3 at 3"),
        ([1, 1, 2, 2], [1, 1, 2, 2], "got 4 at 2"),
        ([1, 2, 4, 8], [1, 2, 3, -1], r"throughput must lie in \(0, inf\) requests/s; got -1.0"),
        ([0, 2, 4, 8], [1, 2, 3, 4], r"nodes must lie in \[1, inf\) nodes; got 0.0"),
        ([1, 2, 4, 8], [1, 2, 3], "must be as many"),
    ]:
        with pytest.raises(ValueError, match=sentence):
            fit_usl(n, x)
    with pytest.raises(ValueError, match="loss must be one of 'linear', 'soft_l1', 'huber'; got 'cauchy'"):
        fit_usl(*noisy(1), loss="cauchy")
    with pytest.raises(ValueError, match="name must be one of 'rate'"):
        fit_usl(*noisy(1)).interval("nodes")
    with pytest.raises(ValueError, match=r"confidence must lie in \(0, 1\); got 95"):
        fit_usl(*noisy(1)).interval("rate", 95)


def test_a_curve_is_fitted_to_whatever_holds_points(tmp_path):
    n, x = noisy(1)
    curve, fit = ScalingCurve.fit(list(zip(n, x, strict=True)))
    assert curve.nodes == 64
    assert curve.rate == fit.rate
    assert ScalingCurve.fit({"nodes": n, "throughput": x}) == (curve, fit)
    path = tmp_path / "points.csv"
    path.write_text("nodes,throughput\n" + "".join(f"{a},{b!r}\n" for a, b in zip(n, x.tolist(), strict=True)))
    assert ScalingCurve.fit(path, nodes=8)[0] == curve.replace(nodes=8)
    assert hash(fit) == hash(ScalingCurve.fit(str(path))[1])
    with pytest.raises(ValueError, match="the points have no column 'throughput', only nodes, x"):
        ScalingCurve.fit({"nodes": n, "x": x})
    with pytest.raises(ValueError, match=r"points must be pairs \(nodes, requests/s\)"):
        ScalingCurve.fit([1.0, 2.0])


def test_nodes_for_is_the_least_whole_number():
    curve = ScalingCurve()
    for wanted in (500.0, 1000.0, 5000.0, curve.peak_throughput):
        least = curve.nodes_for(wanted)
        assert curve.replace(nodes=int(least)).throughput >= wanted * (1 - 1e-12)
        assert least == 1 or curve.replace(nodes=int(least) - 1).throughput < wanted
    assert curve.nodes_for(curve.peak_throughput * 1.001) == math.inf
    best = max(ScalingCurve(nodes=n).throughput for n in range(1, 200))
    assert curve.peak_throughput == best


class WrongCurve(ScalingCurve):
    """Contention counted once too often: three per cent low."""

    @answer("requests/s", "a throughput that is wrong")
    def throughput(self):
        """1 + a N in place of 1 + a (N - 1), as the law is often misquoted."""
        n, a, b = self.nodes, self.contention, self.coherency
        return self.rate * n / (1 + a * n + b * n * (n - 1))


def test_a_law_two_per_cent_wrong_fails():
    table = sm.verify(WrongCurve(), seed=1).set_index("quantity")
    assert table.loc["throughput", "verdict"] == "disagrees"
    assert table.loc["throughput", "smallest_error"] < 0.02
    assert (sm.verify(ScalingCurve(), seed=1).verdict == "agrees").all()


def test_waiting_for_the_slowest_costs_more():
    table = sm.verify(ScalingCurve(), seed=1, violating="requests of unequal length").set_index("quantity")
    assert table.loc["throughput", "miss"] > 0.5


def test_the_residuals_are_those_that_the_package_usl_prints():
    """Point by point, to the two decimals of its tests/residuals.Rout.save (version 3)."""
    table = sm.data.scaling_curves()
    rows = table[table.system == "specsdm91"]
    fit = fit_usl(rows.nodes.to_numpy(), rows.throughput.to_numpy())
    printed = [-25.10, -81.66, 111.09, 3.05, -49.99, -46.60, 56.00]
    np.testing.assert_allclose(fit.residuals, printed, atol=0.0051)


def test_no_nodes_and_what_only_falls():
    """X(0) = 0 where an efficiency is 0/0 too; beyond the pole there is no throughput; a = 1 has its root above one."""
    assert usl_throughput(0.0, 100.0, 1.0, 0.0) == 0.0
    assert usl_throughput(0.0, 100.0, 0.2, 0.1) == 0.0
    with pytest.raises(ValueError, match=r"nodes must be 0 or lie in \[1, inf\)"):
        usl_throughput(0.5, 100.0, 0.0, 8.0)
    assert usl_nodes_at_throughput(50.0, 100.0, 1.0, 0.1) == pytest.approx(11.0)
    assert usl_throughput(11.0, 100.0, 1.0, 0.1) == pytest.approx(50.0)
    assert usl_nodes_at_throughput(100.0, 100.0, 1.0, 0.1) == 1.0
    assert usl_nodes_at_throughput(100.0, 100.0, 1.0, 0.0) == 1.0
    assert usl_nodes_at_throughput([0.0, 50.0, 101.0], 100.0, 1.0, 0.1).tolist() == [0.0, pytest.approx(11.0), math.inf]
    assert usl_nodes_at_throughput(usl_throughput(7.0, 10.0, 0.5, 0.9), 10.0, 0.5, 0.9) == pytest.approx(7.0)
    with pytest.raises(ValueError, match=r"nodes must lie in \[1, inf\) nodes; got 0.5"):
        fit_usl([0.5, 1, 2, 4, 8], [1, 2, 3, 4, 5])
