"""Far tails by splitting. A z test allows 5.5 standard errors: 4e-8 of false alarm each, 1e-6 over this file."""

import dataclasses
import math

import numpy as np
import pytest
from scipy import stats

from scaling_models.latency import Deterministic, Erlang, Exponential, LogNormal, Pareto
from scaling_models.montecarlo.estimates import Estimate, NotSettled, from_batches
from scaling_models.montecarlo.far_tails.excursions import Excursions, Lanes, merged_states
from scaling_models.montecarlo.far_tails.slots import CentralSlots, Slots, last_wait, split_waits
from scaling_models.montecarlo.far_tails.splitting import next_level, split, streams
from scaling_models.montecarlo.far_tails.tails import gain
from scaling_models.montecarlo.far_tails.twisting import rare_latencies, rare_waits
from scaling_models.montecarlo.kernels.central import Central
from scaling_models.montecarlo.kernels.queues import central_waits
from scaling_models.montecarlo.systems import Outcomes
from scaling_models.montecarlo.traffic.arrivals import Renewal
from scaling_models.pools.formulas.erlang import erlang_c

Z = 5.5


def central(gap, service, slots):
    return CentralSlots(Central(Renewal(gap, service), slots))


def close(estimate: Estimate, exact: float, at_worst: float) -> None:
    """Within Z errors, and an error of the share `at_worst` would have been seen."""
    assert Z * estimate.error < at_worst * exact
    assert abs(estimate.value - exact) < Z * estimate.error


@dataclasses.dataclass(frozen=True)
class Walk:
    """A walk on 0, 1, 2 ..., up with probability `up`: P(> k) = (up / (1 - up))^{k + 1}. Its state is bare."""

    up: float

    def start(self, backlog, rngs):
        return np.zeros(len(backlog))

    def advance(self, state, rngs, customers):
        places = np.empty((customers, len(state)))
        for place, u in zip(places, rngs(0).random(places.shape), strict=True):
            state = np.maximum(state + np.where(u < self.up, 1.0, -1.0), 0.0)
            place[:] = state
        return Outcomes({"place": places}, {}), state

    def pick(self, state, lanes):
        return state[lanes]


def test_a_lattice_walk_has_its_geometric_tail():
    walk = Walk(0.3)
    tail = split(walk, lambda state: state, lambda outcomes: outcomes.times["place"][-1], 200, 1, 1e-12, effort=256)
    for k in (0, 3, 8, 16, 28):
        close(tail.ccdf_estimate(k + 0.5), (3.0 / 7.0) ** (k + 1), 0.8)


def test_an_importance_that_never_rises_is_refused():
    walk = Walk(0.3)
    with pytest.raises(ValueError, match="importance does not rise"):
        split(walk, lambda state: 0.0 * state, lambda outcomes: outcomes.times["place"][-1], 8, 1, effort=16)
    with pytest.raises(ValueError, match="replications and effort"):
        split(walk, lambda state: state, last_wait, 8, 1, replications=1)
    with pytest.raises(NotSettled):
        split_waits(Exponential(1.0), Exponential(2.0), 2, 1)


def test_levels_leave_some_above_them():
    assert next_level(np.arange(101.0), 0.0) == pytest.approx(80.0)
    assert next_level(np.array([1.0] * 70 + [2.0] * 30), 0.0) == 1.5  # at 2, the quantile, none would be above


@pytest.mark.parametrize("slots", [1, 10])
@pytest.mark.parametrize("load", [0.3, 0.5])
def test_mmc_tails_are_exact(slots, load):
    waiting, rate = float(erlang_c(slots, slots * load)), slots * (1.0 - load)
    tail = split_waits(Exponential(1.0 / (slots * load)), Exponential(1.0), slots, 1, 1e-8, effort=400)
    for p in (1e-4, 1e-6, 1e-8):
        close(tail.ccdf_estimate(math.log(waiting / p) / rate), p, 1.0)
    close(tail.ccdf_estimate(0.0), waiting, 0.4)
    latency = tail.before(Exponential(1.0))
    for t in (1.0, 4.0, 9.0):
        if slots == 1:
            exact = math.exp(-rate * t)
        else:
            both = (rate * math.exp(-t) - math.exp(-rate * t)) / (rate - 1.0)
            exact = (1.0 - waiting) * math.exp(-t) + waiting * both
        close(latency.ccdf_estimate(t), exact, 0.4)


def test_twisting_agrees_for_other_light_tails():
    gap, service = Erlang(2.0, 2), Erlang(1.0, 3)
    tail = split_waits(gap, service, 1, 2, 1e-6, effort=256)
    for one, other in ((tail, rare_waits(gap, service, 3)), (tail.before(service), rare_latencies(gap, service, 3))):
        for t in (1.0, 3.0, 5.0):
            found, twisted = one.ccdf_estimate(t), other.ccdf_estimate(t)
            assert abs(found.value - twisted.value) < Z * math.hypot(found.error, twisted.error) < 0.6 * twisted.value
    t, exact = tail.iccdf(1e-5), rare_waits(gap, service, 3).iccdf(1e-5)
    low, high = tail.interval(1.0 - 1e-5, 1.0 - 1e-7)
    assert low < t < high
    assert low < exact < high


def test_one_heavy_tailed_server_agrees_with_conditional_monte_carlo():
    """M/Pareto/1: a geometric sum of residuals whose maximum goes over t (Asmussen and Kroese 2006)."""
    load, service = 0.3, Pareto(1.0, 2.5)
    tail = split_waits(Exponential(1.0 / load), service, 1, 4, 1e-3, effort=128)
    for t in (3.0, 20.0, 60.0):
        found, reference = tail.ccdf_estimate(t), heavy_tail(load, service, t)
        assert abs(found.value - reference.value) < Z * math.hypot(found.error, reference.error)
        assert Z * found.error < 1.2 * reference.value


def test_two_heavy_tailed_slots_agree_with_plain_simulation():
    """M/Pareto/2 by a thousand replications (fewer are skew), beside 20 million plain customers."""
    gap, service, lanes = Exponential(1.0 / 0.6), Pareto(1.0, 2.5), 4000
    tail = split_waits(gap, service, 2, 5, 1e-4, effort=64, replications=1000, customers=200)
    rng, free, times = np.random.default_rng(8), np.zeros((2, lanes)), (0.0, 0.5, 2.0, 5.0)
    shares = []
    for _ in range(22):
        shape = (250, lanes)
        waits, free = central_waits(service._draw(shape, rng), gap._draw(shape, rng), free)
        shares.append([(waits > t).mean(axis=0) for t in times])
    for t, each in zip(times, np.mean(shares[2:], axis=0), strict=True):
        found, plain = tail.ccdf_estimate(t), from_batches(each)
        assert abs(found.value - plain.value) < Z * math.hypot(found.error, plain.error) < 0.5 * plain.value


def heavy_tail(load, service, t, draws=200_000):
    rng = np.random.default_rng(6)
    least, index = service.support[0], service.tail_index

    def residual_ccdf(x):
        return np.where(
            x < least, 1.0 - x * (index - 1) / (index * least), (least / np.maximum(x, least)) ** (index - 1) / index
        )

    count = rng.geometric(1.0 - load, draws) - 1
    others = np.where(np.arange(30) < count[:, None] - 1, residuals(rng, least, index, (draws, 30)), 0.0)
    assert (count <= 31).mean() > 1.0 - 1e-14
    far = residual_ccdf(np.maximum(others.max(axis=1), t - others.sum(axis=1)))
    values = count * far
    return Estimate(float(values.mean()), float(values.std() / math.sqrt(draws)), draws - 1)


def residuals(rng, least, index, shape):
    u = rng.random(shape)  # the ccdf
    return np.where(
        u > 1.0 / index,
        (1.0 - u) * index * least / (index - 1),
        least * (np.minimum(u * index, 1.0)) ** (-1.0 / (index - 1)),
    )


def test_intervals_cover_as_often_as_they_say():
    """M/M/2 at load 0.4, 120 runs of 40 replications: at least the binomial limit, of a false alarm of 1e-6, of 90%.

    (Replications are skew, so that a small run covers a little less often than the 95% that it says. The runs are made
    together, with common levels, which are fixed before any of them.) Too wide intervals show in the spread of the
    errors in standard errors, which is one to within 5.5 / sqrt(2 runs).
    """
    system, runs = central(Exponential(1.25), Exponential(1.0), 2), 120
    waiting = float(erlang_c(2, 0.8))
    tail = split(
        system,
        system.importance,
        last_wait,
        64,
        1,
        1e-4,
        renew=system.renew,
        replications=40 * runs,
        effort=32,
        customers=100,
    )
    for p in (1e-2, 1e-3, 1e-4):
        each = tail.contributions(math.log(waiting / p) / 1.2)
        found = [from_batches(run) for run in each.reshape(runs, 40)]
        covered = sum(e.interval()[0] <= p <= e.interval()[1] for e in found)
        assert covered >= stats.binom.ppf(1e-6, runs, 0.90) > 0.7 * runs
        assert abs(np.std([(e.value - p) / e.error for e in found]) - 1.0) < Z / math.sqrt(2 * runs)
        close(from_batches(each), p, 0.1)  # unbiased


def test_the_stage_is_the_plain_chain_path_by_path():
    """Without renewal and with one level, a stage's visits are those of a plain loop over the same random numbers."""
    system = central(Exponential(0.5), Erlang(0.8, 2), 2)
    run = Excursions(system, system.importance, last_wait, None, 1, 24, streams(5, 0))
    run.plain(20, 30, 0.6)
    entrances = run._sampled(0.6)
    flux = run.flux[0]
    run.rngs = streams(6, 0)
    run._sampled = lambda level: entrances
    found = run.stage(0.6, 0.6, math.inf)
    rng_services, rng_gaps = streams(6, 0)(0), streams(6, 0)(1)
    alive = [sorted(column) for column in entrances.state.free.T]
    gone, expected = [False] * 24, [float(s) for s in entrances.score if s > 0]
    index = list(range(24))
    while True:
        if np.mean([not gone[i] for i in index]) < 0.75:
            index = [i for i in index if not gone[i]]
        services, gaps = (
            system.queue.flow.service._draw((1, len(index)), rng_services),
            system.queue.flow.gap._draw((1, len(index)), rng_gaps),
        )
        for i, service, gap in zip(index, services[0], gaps[0], strict=True):
            left = [max(each - gap, 0.0) for each in alive[i]]
            wait = left[0]
            alive[i] = sorted([wait + service, *left[1:]])
            counted = [min(each, alive[i][0] + 2.4) for each in alive[i]]
            gone[i] = gone[i] or np.mean(counted) <= 0.6
            if not gone[i] and wait > 0:
                expected.append(wait)
        if all(gone):
            break
    np.testing.assert_allclose(np.sort(found.scores), np.sort(expected), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.weights, flux / 24)


def test_the_system_is_the_central_queue():
    system = central(Exponential(0.6), Erlang(1.0, 2), 2)
    outcomes, _ = system.advance(system.start(np.zeros(5), streams(1)), streams(1), 50)
    services, gaps = (
        system.queue.flow.service._draw((50, 5), streams(1)(0)),
        system.queue.flow.gap._draw((50, 5), streams(1)(1)),
    )
    waits, _ = central_waits(services, gaps, np.zeros((2, 5)))
    np.testing.assert_array_equal(outcomes.times["wait"], waits)
    np.testing.assert_array_equal(outcomes.times["latency"], waits + services)


@pytest.mark.parametrize("service", [Exponential(1.0), LogNormal(1.0, 4.0), Deterministic(1.0)], ids=repr)
@pytest.mark.parametrize("slots", [1, 3])
def test_renewed_services_follow_the_law_beyond_what_the_level_needs(service, slots):
    """ccdf(S') / ccdf(s) is uniform, s being what brings the importance over the level; nothing else changes."""
    system = central(Exponential(1.0), service, slots)
    rng, lanes, level = np.random.default_rng(7), 20_000, 0.9
    others, wait = rng.exponential(2.0, (slots - 1, lanes)), rng.exponential(0.3, lanes)
    others = others + wait
    first = service._draw((lanes,), rng)
    state = Slots(np.sort(np.vstack([others, wait + first]), axis=0), wait, wait + first)
    state = system.pick(state, np.flatnonzero(system.importance(state) > level))
    new = system.renew(state, level, rng)
    assert (system.importance(new) > level).all()
    np.testing.assert_array_equal(new.wait, state.wait)
    low, high = np.zeros(len(new.wait)), np.full(len(new.wait), 100.0)
    rest = np.array([np.delete(c, np.abs(c - e).argmin()) for c, e in zip(state.free.T, state.end, strict=True)])
    rest = rest.reshape(len(state.wait), slots - 1).T
    np.testing.assert_allclose(np.sort(np.vstack([rest, new.end]), axis=0), new.free)
    for _ in range(60):
        middle = (low + high) / 2.0
        free = np.sort(np.vstack([rest, state.wait + middle]), axis=0)
        over = system.importance(Slots(free, state.wait, state.end)) > level
        low, high = np.where(over, low, middle), np.where(over, middle, high)
    drawn = new.end - new.wait
    if isinstance(service, Deterministic):
        np.testing.assert_allclose(drawn, 1.0, rtol=1e-9)
    else:
        assert stats.kstest(service.ccdf(drawn) / service.ccdf(low), "uniform").pvalue > 1e-8


def test_sampling_gives_every_entrance_the_same_share_and_states_are_joined_by_lane():
    system = central(Exponential(1.0), Exponential(1.0), 3)
    run = Excursions(system, system.importance, last_wait, None, 2, 10, streams(3))

    def lanes(values, owner):
        values = np.asarray(values, dtype=float)
        state = Slots(np.tile(values, (3, 1)), values, values)
        return Lanes(state, np.array(owner), values, values)

    run.entrances = [lanes([1, 2], [0, 0]), lanes([3, 4, 5], [0, 0, 0]), lanes([6], [0])]
    drawn = [run._sampled(0.0) for _ in range(400)]
    counts = np.array([[np.sum(each.score == v) for v in range(1, 7)] for each in drawn])
    assert (counts.sum(axis=1) == 10).all()  # the replication without entrances has no lanes
    assert (counts >= 1).all()
    assert (counts <= 2).all()
    assert (np.abs(counts.mean(axis=0) - 10 / 6) < Z * 0.5 / 20).all()
    joined = merged_states(system, [each.state for each in run.entrances])
    assert isinstance(joined, Slots)
    np.testing.assert_array_equal(joined.free, np.tile(np.arange(1.0, 7.0), (3, 1)))


def test_gain_over_plain_simulation():
    """M/M/10 at load 0.3, P(W > t) = 1e-8: more than a hundredfold (measured 300 to 500)."""
    gap, service, slots = Exponential(1.0 / 3.0), Exponential(1.0), 10
    t = math.log(float(erlang_c(10, 3.0)) / 1e-8) / 7.0

    def plain():
        rng = np.random.default_rng(2)
        shape = (500, 1000)
        central_waits(service._draw(shape, rng), gap._draw(shape, rng), np.zeros((slots, 1000)))
        return 500_000

    assert float(gain(lambda: split_waits(gap, service, slots, 7, 1e-8).ccdf_estimate(t), plain)) > 100.0
