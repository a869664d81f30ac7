"""Single-server queues of any service, and the splits that they make exact: independent routes, limits, the twin.

False-alarm rate of the simulated comparisons: 1e-6 over this file.
"""

import math

import numpy as np
import pytest
from pasting import pasted
from scipy import linalg, optimize, special, stats

import scaling_models as sm
from scaling_models import data
from scaling_models.answers import answer
from scaling_models.pools import RandomSplit, RoundRobin, WeightedSplit, best_weights, busy_root, erlang_arrivals_wait
from scaling_models.pools.formulas import solution
from scaling_models.pools.formulas.erlang import erlang_c
from scaling_models.pools.times.single_server import QueuedLatency, QueuedWait

TAILS = np.array([0.9, 0.5, 0.1, 1e-2, 1e-3])
DEEP = np.append(TAILS, [1e-6, 1e-9, 1e-12])


def gap(load, stages=1):
    return sm.Exponential(1.0 / load) if stages == 1 else sm.Erlang(1.0 / load, stages)


@pytest.mark.parametrize("load", [0.3, 0.7, 0.95, 0.99])
def test_m_m_1_by_the_lattice(load):
    """Exponential waits of rate 1 - rho, far into the tail, where the lattice has ended."""
    arrivals, service = gap(load), sm.Exponential(1.0)
    wait, latency = QueuedWait(arrivals, service), QueuedLatency(arrivals, service)
    np.testing.assert_allclose(wait.iccdf(DEEP), -np.log(DEEP) / (1 - load), rtol=1e-5)
    t = np.linspace(0.0, 20.0 / (1 - load), 50)
    # Given a wait, wait and service is the sum of two exponentials of rates 1 - rho and 1.
    both = (np.exp(-(1 - load) * t) - (1 - load) * np.exp(-t)) / load
    np.testing.assert_allclose(latency.ccdf(t), both, rtol=2e-5)
    assert wait.error < 1e-6
    assert wait.variance() == pytest.approx(1.0 / (1 - load) ** 2, rel=2e-5)


@pytest.mark.parametrize("load", [0.5, 0.9])
def test_m_d_1_by_erlangs_series(load):
    """P(W <= t) = (1 - rho) sum_k (rho (k - t))^k / k! e^{rho (t - k)} (Erlang 1909), where it does not cancel."""
    arrivals, service = gap(load), sm.Deterministic(1.0)
    for t in (0.3, 1.0, 2.5, 6.0):
        k = np.arange(0, math.floor(t) + 1)
        cdf = (1 - load) * np.sum((load * (k - t)) ** k / special.factorial(k) * np.exp(load * (t - k)))
        assert load * QueuedWait(arrivals, service).ccdf(t) == pytest.approx(1 - cdf, rel=1e-5)
    pool = RandomSplit(load, 1, service)
    assert pool.latency.icdf(0.5 * (1 - load)) == 1.0  # who does not wait takes just the service
    assert pool.latency.atoms == ((1.0, pytest.approx(1 - load)),)
    assert pool.wait.atoms == ((0.0, pytest.approx(1 - load)),)


def test_m_h2_1_by_its_poles():
    """Two exponentials, from the roots of the quadratic that the transform's denominator is."""
    load, service = 0.8, sm.Hyperexponential(1.0, 10.0)
    (p, fast), (r, slow) = service.branches
    rates = np.roots([1.0, load - fast - slow, fast * slow - load * (p * slow + r * fast)])

    def weight(x, y):  # residue of (1 - rho) s (s - fast)(s - slow) / (s ...) at a root
        return (1 - load) * (fast - x) * (slow - x) / (x * (y - x))

    weights = [weight(x, y) for x, y in (rates, rates[::-1])]
    assert sum(weights) == pytest.approx(load)
    t = np.array([0.1, 1.0, 10.0, 100.0, 400.0])
    exact = sum(w * np.exp(-x * t) for w, x in zip(weights, rates, strict=True))
    np.testing.assert_allclose(load * QueuedWait(gap(load), service).ccdf(t), exact, rtol=2e-5)


def by_recursion(ccdf_of_residual, load, step, count):
    """P(W <= k h) of the compound geometric sum of residuals rounded to the lattice, term by term."""
    edges = ccdf_of_residual((np.arange(count + 1) - 0.5) * step)
    masses = -np.diff(np.append(1.0, edges[1:]))
    out = np.empty(count)
    out[0] = (1 - load) / (1 - load * masses[0])
    for k in range(1, count):
        out[k] = load * (masses[1 : k + 1] @ out[k - 1 :: -1][:k]) / (1 - load * masses[0])
    return np.cumsum(out)


@pytest.mark.parametrize("load", [0.3, 0.8])
def test_a_pareto_service_by_recursion(load):
    index = 2.5
    least = (index - 1) / index

    def residual(x):
        far = (1 / index) * (least / np.maximum(x, least)) ** (index - 1)
        return np.where(x < least, 1 - np.maximum(x, 0.0), far)

    step, count = 0.02, 8000
    cdf = by_recursion(residual, load, step, count)
    t = (np.arange(count) + 0.5) * step
    wait = QueuedWait(gap(load), sm.Pareto(1.0, index))
    levels = (1 - cdf) / load
    kept = levels > 1e-4
    exact = np.interp([0.5, 0.1, 1e-2, 1e-3], levels[kept][::-1], t[kept][::-1])
    np.testing.assert_allclose(wait.iccdf([0.5, 0.1, 1e-2, 1e-3]), exact, rtol=2e-4)


SERVICES = [
    sm.Deterministic(1.0),
    sm.LogNormal(1.0, 10.0),
    sm.Uniform(0.0, 2.0),
    sm.Erlang(1.0, 4),
    sm.Hyperexponential(1.0, 4.0),
    sm.Empirical(tuple(np.random.default_rng(3).lognormal(-0.5, 1.0, 300) / 1.0)),
    stats.gamma(0.5, scale=2.0),
    sm.mixture((0.5, 0.5), (0.0, 2.0)),
    sm.Exponential(0.5) + 0.5,
]


@pytest.mark.parametrize("load", [0.3, 0.95])
@pytest.mark.parametrize("service", SERVICES, ids=lambda service: type(service).__name__)
def test_mean_waits_are_pollaczek_and_khinchines(load, service):
    """The formula's mean is the closed one; the lattice's own, integrated, must agree."""
    service = RandomSplit(1.0, 1, service).service
    wait = QueuedWait(sm.Exponential(service.mean() / load), service)
    assert wait._survival.moments[0] == pytest.approx(wait.mean(), rel=2e-5)
    assert wait.error < 1e-4
    split = RandomSplit(load / service.mean(), 1, service)
    second = service.variance() + service.mean() ** 2
    assert split.wait.mean() == pytest.approx(split.arrival_rate * second / 2 / (1 - load), rel=1e-12)
    assert split.latency.mean() == pytest.approx(split.wait.mean() + service.mean(), rel=1e-12)
    assert split.in_flight == pytest.approx(split.arrival_rate * split.latency.mean())


def rounded(tail, step, size, up):
    """A law with this tail on the multiples of `step`, each value rounded up, or down."""
    masses = -np.diff(tail(step * np.arange(size)))
    return np.append(0.0, masses) if up else np.append(masses, 0.0)


@pytest.mark.parametrize(("load", "scv", "level"), [(0.747, 10.0, 0.999), (0.747, 10.0, 0.99), (0.9, 4.0, 0.999)])
def test_a_lognormal_service_lies_between_its_roundings(load, scv, level):
    """The wait is a geometric sum of services' residuals, by Panjer's recursion: what is rounded up is later for sure,
    what is rounded down sooner. (At 0.747 and scv 10 an independent simulator gave 414 +- 5 in 1.9e9 requests.)
    """
    spread = math.sqrt(math.log1p(scv))

    def score(t):
        return (np.log(np.maximum(t, 1e-300)) + spread**2 / 2.0) / spread

    def residual(t):
        return special.ndtr(spread - score(t)) - t * special.ndtr(-score(t))

    bounds, step, size = [], 0.1, 6000
    for up in (False, True):
        more = load * rounded(residual, step, size, up)
        wait = np.zeros(size)
        wait[0] = 1.0 - load
        for n in range(size):
            wait[n] = (wait[n] + more[1 : n + 1] @ wait[:n][::-1]) / (1.0 - more[0])
        sums = np.convolve(wait, rounded(lambda t: special.ndtr(-score(t)), step, size, up))[:size]
        bounds.append(step * np.searchsorted(np.cumsum(sums), level))
    latency = RandomSplit(50.0 * load, 50, sm.LogNormal(1.0, scv)).latency
    assert bounds[0] <= latency.icdf(level) <= bounds[1] < 1.02 * bounds[0]


@pytest.mark.parametrize("load", [0.4, 0.9])
@pytest.mark.parametrize(
    "service",
    [sm.Exponential(1.0), sm.LogNormal(1.0, 4.0), sm.Pareto(1.0, 2.5), sm.Pareto(1.0, 1.5), sm.Deterministic(1.0)],
    ids=lambda service: repr(service)[:14],
)
def test_poisson_arrivals_by_both_routes(load, service):
    """M/G/1 by Spitzer's identity and ladder heights, beside the equilibrium distribution: they share no formula."""
    arrivals = gap(load)
    one = solution.single_server(arrivals, service)
    queue, step = solution._queue(arrivals, service, 60.0 / load)
    first, ladder = queue.renewal(step)
    other = solution._to_the_end(queue, step, first, ladder)
    assert other.chance == pytest.approx(load, rel=1e-5)
    for mine, theirs in ((one.wait, other.wait), (one.latency, other.latency)):
        np.testing.assert_allclose(mine.inverse(np.log(TAILS)), theirs.inverse(np.log(TAILS)), rtol=1e-4)


@pytest.mark.parametrize("stages", [2, 10, 100])
@pytest.mark.parametrize("load", [0.3, 0.7, 0.97])
def test_erlang_arrivals_and_exponential_service_by_the_lattice(stages, load):
    sigma = busy_root(stages, load)
    queue = QueuedWait(gap(load, stages), sm.Exponential(1.0))
    if sigma < 1e-6:
        return
    assert queue.chance == pytest.approx(sigma, rel=1e-4)
    np.testing.assert_allclose(queue.iccdf(TAILS), -np.log(TAILS) / (1 - sigma), rtol=1e-4)


@pytest.mark.parametrize(("stages", "servers", "load"), [(2, 1, 0.7), (10, 3, 0.6), (5, 4, 0.8), (20, 2, 0.7)])
def test_erlang_arrivals_and_several_servers_by_the_chain(stages, servers, load):
    """P(wait) of E_N/M/c against the stages' birth-death chain, solved as a linear system."""
    most = servers + 80
    rate = stages * load * servers
    size = (most + 1) * stages
    q = np.zeros((size, size))
    for n in range(most + 1):
        for stage in range(stages):
            i = n * stages + stage
            after = n if stage < stages - 1 else min(n + 1, most)
            q[i, after * stages + (stage + 1) % stages] += rate
            if n:
                q[i, i - stages] += min(n, servers)
    q -= np.diag(q.sum(axis=1))
    left = np.vstack([q.T[1:], np.ones(size)])
    pi = np.linalg.solve(left, np.append(np.zeros(size - 1), 1.0)).reshape(most + 1, stages)
    arrivals = pi[:, -1] / pi[:, -1].sum()
    found, sigma = erlang_arrivals_wait(stages, servers, load)
    assert found == pytest.approx(arrivals[servers:].sum(), rel=1e-6)
    assert sigma == pytest.approx(arrivals[servers + 3] / arrivals[servers + 2], rel=1e-6)


@pytest.mark.parametrize("servers", [1, 2, 50, 1000])
def test_one_stage_is_erlang_c(servers):
    for load in (0.3, 0.9, 0.999):
        found, sigma = erlang_arrivals_wait(1, servers, load)
        assert sigma == pytest.approx(load, rel=1e-10)
        expected = erlang_c(servers, servers * load)
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-200)
    # c (1 - sigma) a whole number is a removable singularity of the terms.
    smooth = [erlang_arrivals_wait(1, 10, load)[0] for load in (0.5 - 1e-9, 0.5, 0.5 + 1e-9)]
    assert smooth[1] == pytest.approx((smooth[0] + smooth[2]) / 2, rel=1e-7)


@pytest.mark.parametrize(("servers", "load"), [(1, 0.8), (3, 0.5), (10, 0.9), (40, 0.97)])
def test_constant_gaps_by_the_embedded_chain(servers, load):
    """D/M/c: what arrivals find is a chain whose deaths between two of them are a pure death process, to 1e-9."""
    most = servers + int(40 / -np.log(busy_root(np.inf, load)))
    n = np.arange(most + 1)
    rates = np.minimum(n, servers).astype(float)
    generator = np.diag(-rates) + np.diag(rates[1:], -1)
    between = linalg.expm(generator / (load * servers))  # of mean services
    step = between[np.minimum(n + 1, most)]
    left = np.vstack([(step.T - np.eye(most + 1))[1:], np.ones(most + 1)])
    found = np.linalg.solve(left, np.append(np.zeros(most), 1.0))
    waits, sigma = erlang_arrivals_wait(np.inf, servers, load)
    assert waits == pytest.approx(found[servers:].sum(), rel=1e-9)
    assert sigma == pytest.approx(found[servers + 2] / found[servers + 1], rel=1e-9)
    assert erlang_arrivals_wait(10**9, servers, load) == pytest.approx((waits, sigma), rel=1e-7)


def test_busy_root_broadcasts_and_refuses():
    assert busy_root(np.array([1, 4])[:, None], [0.2, 0.5, 0.9]).shape == (2, 3)
    roots = busy_root([1, 3, 30], 0.8)
    n = np.array([1, 3, 30])
    np.testing.assert_allclose(roots, (n * 0.8 / (n * 0.8 + 1 - roots)) ** n, rtol=1e-10)
    with pytest.raises(ValueError, match=r"utilization must lie in \(0, 1\); got 1.0"):
        busy_root(2, 1.0)
    with pytest.raises(ValueError, match="stages must be at least 1"):
        busy_root(0, 0.5)


def test_heavy_tails_fall_as_the_service_does():
    """P(W > t) ~ rho/(1 - rho) P(residual > t): of a Pareto service with infinite variance, far out."""
    load, index = 0.7, 1.5
    pool = RandomSplit(load, 1, sm.Pareto(1.0, index))
    assert pool.latency.mean() == math.inf
    t = 1e12
    residual = (1 / index) * ((index - 1) / index / t) ** (index - 1)
    assert pool.wait.ccdf(t) == pytest.approx(load / (1 - load) * residual, rel=1e-3)
    assert pool.wait.tail_index == pytest.approx(0.5)
    assert pool.accuracy("latency", 0.99999).label == "exact"
    assert pool.accuracy("latency", 1.0 - 1e-9).label == "simulated"  # rarer than the lattice tells
    assert RandomSplit(load, 1, sm.Erlang(1.0, 2)).accuracy("latency", 1.0 - 1e-12).label == "exact"
    assert pool.wait.ccdf(1e40) == pytest.approx(pool.wait.ccdf(1e30) * 1e-5, rel=1e-3)


@pytest.mark.parametrize(
    "pool",
    [
        RandomSplit(8.0, 10, sm.LogNormal(1.0, 4.0)),
        RoundRobin(9.0, 10, sm.Hyperexponential(1.0, 4.0)),
        RoundRobin(4.0, 10, sm.Pareto(1.0, 2.5)),
        RoundRobin(3.0, 10, sm.Deterministic(1.0)),
        RoundRobin(10.0, 1000, sm.Deterministic(1.0)),
        WeightedSplit(7.0, sm.Erlang(1.0, 4)),
    ],
    ids=repr,
)
def test_the_answers_hold_together(pool):
    latency, wait = pool.latency, pool.wait
    q = np.array([0.01, 0.5, 0.9, 0.99, 0.999, 0.99999])
    t = latency.icdf(q)
    assert (np.diff(t) >= 0).all()
    np.testing.assert_allclose(latency.ccdf(t * (1 + 1e-9)), np.minimum(1 - q, latency.ccdf(t)), rtol=1e-6)
    assert pool.in_flight == pytest.approx(pool.arrival_rate * latency.mean())
    assert wait.ccdf(0.0) == pytest.approx(pool.probability_of_wait, abs=1e-9)
    assert pool.accuracy("latency", 0.999).label == "exact"
    assert pool.accuracy("latency", 0.999).error < 1e-4
    assert latency.sample(4, rng=1).shape == (4,)
    middle = np.linspace(*latency.icdf([0.6, 0.7]), 400)
    assert np.trapezoid(latency.pdf(middle), middle) <= 0.1 + 1e-3
    assert eval(repr(latency), pasted() | {k.__name__: k for k in (QueuedWait, QueuedLatency)}) == latency


def test_a_density_is_the_slope_of_the_ccdf():
    latency = RandomSplit(8.0, 10, sm.LogNormal(1.0, 4.0)).latency
    t = np.array([1.0, 5.0, 30.0, 120.0])
    slope = -(latency.ccdf(t + 0.05) - latency.ccdf(t - 0.05)) / 0.1
    np.testing.assert_allclose(latency.pdf(t), slope, rtol=2e-3)


@pytest.mark.parametrize("scv", [0.3, 1.0, 4.0])
@pytest.mark.parametrize("load", [0.2, 0.6, 0.95])
def test_best_weights_are_the_best(scv, load):
    rates = np.array([1.0, 1.0, 2.0, 5.0])
    total = load * rates.sum()
    shares = best_weights(rates, total, scv)

    def mean(each):
        rho = np.minimum(each * total / rates, 1 - 1e-9)
        return float((each / rates * (1 + (1 + scv) / 2 * rho / (1 - rho))).sum())

    assert shares.sum() == pytest.approx(1.0)
    rng = np.random.default_rng(1)
    for _ in range(200):
        other = np.maximum(shares + rng.normal(0.0, 1e-3, 4), 0.0)
        assert mean(other / other.sum()) >= mean(shares) - 1e-12
    found = optimize.minimize(
        mean, rates / rates.sum(), bounds=[(0, 1)] * 4, constraints={"type": "eq", "fun": lambda w: w.sum() - 1}
    )
    assert mean(shares) <= found.fun + 1e-9


def test_both_forms_of_best_weights_agree_and_refuse():
    for total in (0.5, 3.0, 8.5):
        near = [best_weights([1.0, 1.0, 2.0, 5.0], total, scv) for scv in (1.0, 1.0 + 1e-9)]
        np.testing.assert_allclose(*near, atol=1e-7)
    np.testing.assert_allclose(best_weights([1.0, 3.0], 5.0), [0.25, 0.75])  # overloaded whatever one does
    assert best_weights([1.0, 3.0], 2.0, math.inf).sum() == pytest.approx(1.0)
    with pytest.raises(ValueError, match="rates must lie"):
        best_weights([1.0, -1.0], 1.0)
    with pytest.raises(ValueError, match="scv in"):
        best_weights([1.0], 0.5, -1.0)


def test_equal_servers_are_a_random_split():
    service = sm.LogNormal(0.01, 2.0)
    weighted = WeightedSplit(800.0, service, speeds=(1.0,) * 10)
    np.testing.assert_allclose(
        weighted.latency.icdf([0.5, 0.999]), RandomSplit(800.0, 10, service).latency.icdf([0.5, 0.999])
    )
    assert weighted.servers == 10
    assert weighted.utilization == pytest.approx(0.8)
    doubled = WeightedSplit(800.0, service, speeds=(2.0,) * 10)
    half = RandomSplit(800.0, 10, sm.LogNormal(0.005, 2.0))
    np.testing.assert_allclose(doubled.latency.icdf([0.5, 0.999]), half.latency.icdf([0.5, 0.999]), rtol=1e-9)


def test_weighted_splits_refuse_and_overload():
    with pytest.raises(ValueError, match=r"weights must be one a server \(2 speeds\)"):
        WeightedSplit(speeds=(1.0, 2.0), weights=(1.0,))
    with pytest.raises(ValueError, match="must not all be zero"):
        WeightedSplit(speeds=(1.0, 2.0), weights=(0.0, 0.0))
    assert WeightedSplit(301.0, speeds=(1.0, 2.0)).latency == sm.Never()
    assert WeightedSplit(150.0, speeds=(1.0, 2.0), weights=(3.0, 1.0)).latency == sm.Never()
    left_out = WeightedSplit(50.0, speeds=(0.1, 2.0))
    assert left_out.shares == pytest.approx((0.0, 1.0))
    assert left_out.latency.icdf(0.5) == pytest.approx(RandomSplit(50.0, 1, sm.Exponential(0.005)).latency.icdf(0.5))


@pytest.mark.parametrize("kind", [RandomSplit, RoundRobin])
def test_what_has_no_closed_form_says_so(kind):
    sharing = kind(1600.0, 5, sm.Erlang(0.01, 2), discipline="sharing", workers=4, first_speed=0.9)
    for pool in (sharing, kind(1600.0, 5, sm.Erlang(0.01, 2), workers=4)):
        with pytest.raises(sm.NoClosedForm, match="simulate it"):
            pool.latency  # noqa: B018
        with pytest.raises(sm.NoClosedForm, match="simulate it"):
            pool.probability_of_wait  # noqa: B018
        assert pool.accuracy("wait").label == "simulated"
    assert kind(2000.0, 5, workers=4).latency == sm.Never()
    assert kind(1600.0, 5, workers=4).accuracy("latency", 0.999).label == "exact"


def test_rare_latencies_of_round_robin_agree_with_the_lattice():
    """Exponential twisting of E_10/E_2/1, an estimate with intervals: one in ten thousand of false alarms each."""
    pool = RoundRobin(8.0, 10, sm.Erlang(1.0, 2))
    tail = pool.far_tail(seed=1)
    for p in (1e-4, 1e-8):
        found = tail.ccdf_estimate(float(pool.latency.iccdf(p)))
        assert found.error < 0.05 * p
        low, high = found.interval(1 - 1e-4)
        assert low < p < high


def split_of(case):
    """The pool of a simulated case, or None where it has no closed form, or none of its kind."""
    known = {"random", "weighted", "round_robin"}
    equal = ":" not in str(case["speeds"])
    if case["policy"] not in known or case["discipline"] != "fifo" or case["gap_scv"] != 1:
        return None
    service = {"exp": sm.Exponential(1.0), "det": sm.Deterministic(1.0), "pareto2.5": sm.Pareto(1.0, 2.5)}.get(
        case["service"]
    )
    if service is None:
        kinds = {"h2": sm.Hyperexponential, "lognormal": sm.LogNormal}
        service = kinds[case["service"]](1.0, case["scv"])
    rate, servers, workers = case["arrival_rate"], int(case["servers"]), int(case["workers"])
    if case["policy"] == "round_robin":
        pool = RoundRobin(rate, servers, service, workers) if equal else None
    elif equal and case["policy"] == "random":
        pool = RandomSplit(rate, servers, service, workers)
    else:
        speeds = spread(case["speeds"])
        weights = spread(case["weights"]) or (1.0,) * servers
        pool = WeightedSplit(rate, service, workers, speeds=speeds, weights=weights)
    return pool if pool and pool.accuracy("latency").label == "exact" else None


def spread(text):
    """`value:servers;...` as one value a server, or None where there is none."""
    if ":" not in str(text):
        return None
    parts = (part.split(":") for part in text.split(";"))
    return tuple(value for number, count in parts for value in [float(number)] * int(count))


def test_simulated_splits_agree():
    """An independent simulation, error by error: 1e-7 over all of them."""
    pairs = [(case, split_of(case)) for case in data.simulated_pools().to_dict("records")]
    pairs = [(case, pool) for case, pool in pairs if pool is not None]
    assert len(pairs) >= 9
    reach = float(special.stdtrit(63, 1.0 - 1e-7 / 2 / (5 * len(pairs))))
    for case, pool in pairs:
        found = {"mean": pool.latency.mean()}
        found |= {name: pool.latency.icdf(float(name[1:]) / 100) for name in ("p50", "p95", "p99", "p99.9")}
        for name, value in found.items():
            slack = 2e-4 * case[name]  # the width of their bins
            assert abs(value - case[name]) <= reach * case[f"{name}_error"] + slack, (pool, name)


TWINS = [
    RandomSplit(5.0, 10, sm.LogNormal(1.0, 1.0)),
    RoundRobin(6.0, 10, sm.Erlang(1.0, 2)),
    RoundRobin(12.0, 5, sm.Exponential(1.0), workers=4),
    WeightedSplit(6.0, sm.Erlang(1.0, 2)),
]


@pytest.mark.slow
@pytest.mark.parametrize("pool", TWINS, ids=repr)
def test_the_twin_agrees(pool):
    table = sm.verify(pool, requests=2_000_000, seed=1, levels=(0.5, 0.95, 0.99, 0.999), false_alarm=2e-7)
    assert (table.verdict != "disagrees").all(), table.to_string()
    seen = table.set_index("quantity").smallest_error
    assert (seen[["latency mean", "latency p50"]] < 0.03).all(), table.to_string()
    assert (seen[["latency p95", "latency p99"]] < 0.1).all(), table.to_string()


class WrongSplit(RoundRobin):
    """Three per cent high."""

    @answer("s", "a latency that is wrong")
    def latency(self):
        """Off by three per cent."""
        return RoundRobin.latency.compute(self) * 1.03


@pytest.mark.slow
def test_three_per_cent_wrong_fails():
    table = sm.verify(WrongSplit(6.0, 10, sm.Erlang(1.0, 2)), requests=4_000_000, seed=1).set_index("quantity")
    assert (table.loc[["latency mean", "latency p50"], "verdict"] == "disagrees").all(), table.to_string()
