"""Policies that look at queue lengths: formulas against independent chains, limits, simulations of two kinds.

The false-alarm rate of the file is 1e-6: half is shared by the rows of data/simulated_pools.csv, half by `verify`.
"""

import itertools
import math

import numpy as np
import pytest
from scipy import sparse, special
from scipy.sparse import linalg

import scaling_models as sm
from scaling_models import data
from scaling_models.answers import answer
from scaling_models.pools.formulas.erlang import erlang_c
from scaling_models.pools.formulas.extras import found_balanced, found_scattered
from scaling_models.pools.formulas.profiles import found_by, shortest, shortest_of
from scaling_models.pools.formulas.several_balancers import found_by_several
from scaling_models.pools.formulas.supermarket import found_by_choices, mean_field
from scaling_models.pools.times.erlang_mixture import ErlangMixture

E = sm.Exponential(1.0)


def full(found):
    """What an arrival finds, with the geometric tail written out."""
    more = int(40.0 / -math.log(found.decay)) if found.decay else 0
    return np.append(found.weights, found.weights[-1] * found.decay ** np.arange(1, more + 1))


def mean_of(found, workers=1):
    """The mean response in services."""
    seen = full(found)
    return 1.0 + seen @ np.maximum(np.arange(len(seen)) - workers + 1, 0) / workers


def by_enumeration(load, servers, workers, longest, chances):
    """What an arrival finds, by the chain of all ordered queues up to `longest`: another route than by profiles.

    `chances(queues)` are those of joining each place of the ordered queues. Requests that find no room are turned away.
    """
    queues = list(itertools.combinations_with_replacement(range(longest + 1), servers))
    number = {queue: i for i, queue in enumerate(queues)}
    arrivals, moves, out, seen = load * servers * workers, [], np.zeros(len(queues)), []
    for i, queue in enumerate(queues):
        joins = chances(queue)
        for place, length in enumerate(queue):
            seen.append((i, length, joins[place]))
            for step, rate in ((1, arrivals * joins[place]), (-1, min(length, workers))):
                if rate and length + step <= longest:
                    after = tuple(sorted((*queue[:place], length + step, *queue[place + 1 :])))
                    moves.append((number[after], i, rate))
                    out[i] += rate
    rows, columns, rates = (np.array(part) for part in zip(*moves, strict=True))
    balance = (sparse.csc_matrix((rates, (rows, columns)), shape=(len(queues),) * 2) - sparse.diags(out)).tocsc()
    weights = np.append(1.0, linalg.spsolve(balance[1:, 1:], -balance[1:, [0]].toarray().ravel()))
    weights /= weights.sum()
    state, length, chance = (np.array(part) for part in zip(*seen, strict=True))
    return np.bincount(length, weights[state] * chance, longest + 1)


def to_shortest(queue):
    """The first of the ordered queues."""
    return [1.0] + [0.0] * (len(queue) - 1)


def to_shortest_of_two(queue, replacement):
    """The ordered place i is the least of two drawn if the other is not below it."""
    n = len(queue)
    if replacement:
        return [((n - i) ** 2 - (n - i - 1) ** 2) / n**2 for i in range(n)]
    return [(n - 1 - i) / math.comb(n, 2) for i in range(n)]


@pytest.mark.parametrize(("servers", "workers", "longest"), [(2, 1, 60), (3, 1, 24), (2, 3, 50)])
def test_the_shortest_queue_by_two_chains(servers, workers, longest):
    exact = by_enumeration(0.7, servers, workers, longest, to_shortest)
    seen = full(found_by(shortest, 0.7, servers, workers, 8))
    np.testing.assert_allclose(seen[:15], exact[:15], rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize("replacement", [False, True])
def test_the_shorter_of_two_by_two_chains(replacement):
    exact = by_enumeration(0.7, 3, 1, 26, lambda queue: to_shortest_of_two(queue, replacement))
    seen = full(found_by(shortest_of(2, replacement), 0.7, 3, 1, 12))
    np.testing.assert_allclose(seen[:8], exact[:8], rtol=1e-4)  # a difference of more than 12 is left out


def test_the_supermarket_converges_to_the_chain_as_its_orders_say():
    """N^order+1 times the error is bounded: doubling the servers divides it by about 2, 4, 8."""
    exact = {n: mean_of(found_by(shortest_of(2, False), 0.5, n, 1, spread)) for n, spread in ((4, 9), (8, 5))}
    for order, least in ((0, 1.8), (1, 3.6), (2, 6.0)):
        few, many = (abs(mean_of(found_by_choices(0.5, n, 2, order=order)) - exact[n]) for n in (4, 8))
        assert few / many > least, (order, few, many)
    assert abs(mean_of(found_by_choices(0.5, 8, 2)) / exact[8] - 1.0) < 1e-3


def test_the_published_refinement_of_the_supermarket():
    """Gast and Van Houdt 2017: requests a server at N = 10, load 0.9, two choices with replacement, and at N = inf."""
    found = found_by_choices(0.9, 10, 2, replacement=True, order=1)
    assert 0.9 * mean_of(found) == pytest.approx(2.7513, abs=5e-5)
    assert mean_field(0.9, 2)[1:].sum() == pytest.approx(2.3527, abs=5e-5)


@pytest.mark.parametrize("workers", [1, 2, 8, 32])
@pytest.mark.parametrize("load", [0.1, 0.7, 0.99])
def test_the_mean_field_is_in_balance(load, workers):
    s = mean_field(load, 3, workers)
    assert s[0] == pytest.approx(1.0, abs=1e-12)
    busy = np.minimum(np.arange(1, len(s)), workers)
    left = busy * (s[1:] - np.append(s[2:], 0.0))
    np.testing.assert_allclose(load * workers * -np.diff(s**3), left, rtol=1e-9, atol=1e-13)
    assert s[1 : workers + 1].sum() == pytest.approx(load * workers, rel=1e-9)


def test_many_servers_by_two_chains():
    """As long as fewer wait than there are servers, two numbers tell all. What a spread of the queues still leaves out,
    a last step of it tells: each brings a tenth of the one before, or less."""
    for servers, workers, load, spreads in ((30, 1, 0.7, (2, 3)), (12, 8, 0.7, (3, 4))):
        few = found_balanced(load, servers, workers)
        rough, chain = (found_by(shortest, load, servers, workers, spread) for spread in spreads)
        nearly, waiting = full(rough)[workers:].sum(), full(chain)[workers:].sum()
        assert abs(waiting - nearly) < 0.005 * waiting
        assert full(few)[workers:].sum() == pytest.approx(waiting, rel=0.001, abs=1.5 * abs(waiting - nearly))
        assert mean_of(few, workers) == pytest.approx(mean_of(chain, workers), rel=1e-5)


@pytest.mark.parametrize("workers", [1, 3, 20])
def test_one_server_is_m_m_k(workers):
    for found in (found_balanced(0.8, 1, workers), found_scattered(0.8, 1, workers)):
        assert full(found)[workers:].sum() == pytest.approx(erlang_c(workers, 0.8 * workers), rel=1e-8)
        assert found.decay == pytest.approx(0.8, rel=1e-5)
    for kind in (sm.PowerOfChoices, sm.LeastConnections, sm.JoinIdleQueue):
        pool = kind(0.8 * workers, 1, E, workers)
        assert pool.latency.mean() == pytest.approx(sm.CentralQueue(0.8 * workers, 1, E, workers).latency.mean())
        assert pool.accuracy("latency", 0.9999).label == "exact"


def test_one_choice_is_a_random_split():
    one, split = sm.PowerOfChoices(800.0, 10, choices=1), sm.RandomSplit(800.0, 10)
    np.testing.assert_allclose(one.latency.percentiles(1, 50, 99.99), split.latency.percentiles(1, 50, 99.99))


def test_many_balancers_are_a_random_split_and_keep_the_load():
    for workers in (1, 4):
        found, alone = found_by_several(0.7, 5000, workers).weights, full(found_balanced(0.7, 1, workers))
        assert found[:workers].sum() == pytest.approx(alone[workers - 1], rel=2e-3)
        np.testing.assert_allclose(found[workers : workers + 8], alone[workers : workers + 8], rtol=0.02)
    assert found_by_several(0.7, 3).weights.sum() == pytest.approx(1.0)


def test_stages_in_a_geometric_number_are_an_exponential():
    reference = sm.mixture((0.4, 0.6), (sm.Deterministic(0.0), sm.Exponential(0.1)))
    for weights in ([0.4, 0.06], [0.4, 0.06, 0.054]):
        stages = ErlangMixture.of(100.0, np.array(weights), 0.9)
        t, q = np.array([0.0, 0.01, 0.3, 2.0]), np.array([0.3, 0.5, 0.99, 0.99999])
        np.testing.assert_allclose(stages.ccdf(t), reference.ccdf(t), rtol=1e-12)
        np.testing.assert_allclose(stages.cdf(t), reference.cdf(t), rtol=1e-12)
        np.testing.assert_allclose(stages.pdf(t), reference.pdf(t), rtol=1e-12)
        np.testing.assert_allclose(stages.icdf(q), reference.icdf(q), rtol=1e-9)
        assert stages.mean() == pytest.approx(0.06)
        assert stages.variance() == pytest.approx(reference.variance())
        assert sm.latency.Distribution.variance(stages) == pytest.approx(stages.variance())
        drawn = stages.sample(200_000, rng=1)
        assert abs(drawn.mean() - 0.06) < 5 * math.sqrt(stages.variance() / 200_000)
        assert eval(repr(stages)) == stages
    with pytest.raises(ValueError, match="must add up to 1; got"):
        ErlangMixture(1.0, (0.5, 0.6))


def told(case):
    """The model of a row of the other simulation, or None where it is of something else."""
    kinds = {"power_of_d": sm.PowerOfChoices, "least_connections": sm.LeastConnections}
    kind = {**kinds, "join_idle_queue": sm.JoinIdleQueue}.get(case["policy"])
    services = {
        "exp": lambda scv: E,
        "det": lambda scv: sm.Deterministic(1.0),
        "h2": lambda scv: sm.Hyperexponential(1.0, scv),
        "lognormal": lambda scv: sm.LogNormal(1.0, scv),
        "gamma": lambda scv: sm.Erlang(1.0, round(1.0 / scv)),
        "pareto2.5": lambda scv: sm.Pareto(1.0, 2.5),
    }
    other = any(isinstance(case[name], str) and ":" in case[name] for name in ("speeds", "weights", "fast"))
    if kind is None or other or case["discipline"] == "ps" or case["gap_scv"] != 1:
        return None
    more = {}
    if kind is sm.PowerOfChoices:
        more = {
            "choices": int(case["choices"]),
            "replacement": case["replacement"],
            "balancers": int(case["balancers"]),
        }
    if kind is sm.LeastConnections:
        ties = "random" if case["ties"] == "random" else "least recently used"
        more = {"ties": ties}
    if more:
        more["balancers"] = int(case["balancers"])
    service = services[case["service"]](case["scv"])
    return kind(case["arrival_rate"], int(case["servers"]), service, workers=int(case["workers"]), **more)


ROWS = [(case, model) for case in data.simulated_pools().to_dict("records") if (model := told(case)) is not None]
ROW_REACH = float(special.stdtrit(63, 1.0 - 0.5e-6 / 2 / (5 * len(ROWS))))


def misses(case, model, wrong=1.0):
    """Quantities of a row whose closed form, times `wrong`, is off by more than accuracy and chance allow; and all."""
    found = []
    for name in ("mean", "p50", "p95", "p99", "p99.9"):
        level = None if name == "mean" else float(name[1:]) / 100.0
        error = model.accuracy("latency", level).error
        if error is None:
            continue
        closed = model.latency.mean() if level is None else float(model.latency.icdf(level))
        slack = error * case[name] + ROW_REACH * case[f"{name}_error"] + 2e-4 * case[name]
        found.append((name, abs(wrong * closed - case[name]) <= slack))
    return [name for name, right in found if not right], len(found)


@pytest.mark.parametrize(("case", "model"), ROWS, ids=[repr(model) for _, model in ROWS])
def test_the_other_simulation_agrees(case, model):
    wrong, _ = misses(case, model)
    assert not wrong


def test_the_other_simulation_sees_much_of_it_and_would_see_errors():
    assert sum(misses(case, model)[1] for case, model in ROWS) >= 90
    for wrong in (0.97, 1.03):
        seen = [misses(case, model, wrong)[0] for case, model in ROWS if model.accuracy("latency").label == "within 3%"]
        assert sum(map(bool, seen)) >= 5


VERIFIED = [
    sm.PowerOfChoices(70.0, 10, sm.Exponential(0.1)),
    sm.PowerOfChoices(2800.0, 10, choices=3, replacement="with", workers=4),
    sm.LeastConnections(70.0, 10, sm.Exponential(0.1)),
    sm.LeastConnections(280.0, 4, workers=10),
    sm.LeastConnections(700.0, 10, balancers=4),
    sm.JoinIdleQueue(70.0, 10, sm.Exponential(0.1)),
    sm.JoinIdleQueue(700.0, 10, sm.Deterministic(0.01)),
]


@pytest.mark.slow
@pytest.mark.parametrize("model", VERIFIED, ids=repr)
def test_closed_forms_agree_with_their_twins(model):
    table = sm.verify(model, requests=1_000_000, seed=1, false_alarm=0.5e-6 / len(VERIFIED))
    assert (table.verdict != "disagrees").all(), table.to_string()
    assert "latency mean" in set(table.quantity[table.verdict == "agrees"])


class WrongConnections(sm.LeastConnections):
    """With a latency that is three per cent low."""

    @answer("s", "a latency that is wrong")
    def latency(self):
        """Off by three per cent."""
        return sm.LeastConnections.latency.compute(self) * 0.97


@pytest.mark.slow
def test_a_latency_wrong_by_three_per_cent_is_seen():
    table = sm.verify(WrongConnections(60.0, 10, sm.Exponential(0.1)), requests=4_000_000, seed=1)
    assert "latency mean" in set(table.quantity[table.verdict == "disagrees"]), table.to_string()


@pytest.mark.parametrize(
    "model",
    [
        sm.LeastConnections(500.0, 10, sm.LogNormal(0.01, 4.0)),
        sm.LeastConnections(500.0, 10, sm.Deterministic(0.01), ties="least recently used"),
        sm.LeastConnections(500.0, 10, sm.Deterministic(0.01), ties="in turn"),
        sm.LeastConnections(500.0, 10, sm.Deterministic(0.01), workers=2),
        sm.LeastConnections(500.0, 10, workers=2, balancers=2),
        sm.LeastConnections(9e6, 100_000),
        sm.LeastConnections(390.0, 4, balancers=2),
        sm.PowerOfChoices(500.0, 10, balancers=2),
        sm.PowerOfChoices(500.0, 10, sm.Pareto(0.01, 2.5)),
        sm.JoinIdleQueue(198.0, 2),
        sm.JoinIdleQueue(500.0, 10, sm.Deterministic(0.01), discipline="sharing"),
        sm.JoinIdleQueue(500.0, 10, first_speed=0.5),
    ],
    ids=repr,
)
def test_what_no_formula_knows_is_said(model):
    assert model.accuracy("latency").label == "simulated"
    with pytest.raises(sm.NoClosedForm, match="simulate it"):
        model.latency  # noqa: B018


@pytest.mark.parametrize("kind", [sm.PowerOfChoices, sm.LeastConnections, sm.JoinIdleQueue])
@pytest.mark.parametrize("servers", [2, 10, 50])
@pytest.mark.parametrize("load", [0.05, 0.9, 0.999])
@pytest.mark.parametrize("service", [E, sm.Deterministic(1.0), sm.Erlang(1.0, 2)], ids=["exp", "det", "erlang"])
def test_what_is_labelled_is_answered_and_what_is_not_is_refused(kind, servers, load, service):
    model = kind(load * servers, servers, service)
    for metric in ("latency", "wait", "probability_of_wait", "in_flight"):
        if model.accuracy(metric).error is None:
            with pytest.raises(sm.NoClosedForm):
                getattr(model, metric)
            continue
        assert getattr(model, metric) is not None
    labelled = [model.accuracy("latency", level).error is not None for level in (0.5, 0.95, 0.99, 0.999)]
    assert len(set(labelled)) == 1
    if labelled[0]:
        assert np.all(np.diff(model.latency.percentiles(50, 95, 99, 99.9)) >= 0)
        if model.accuracy("wait").error is not None:
            assert model.latency.mean() == pytest.approx(model.wait.mean() + 1.0)
    elif model.accuracy("latency").error is not None:
        assert not model.latency.spread_known


def test_quantiles_of_many_mixtures_are_those_of_each():
    """The vector path, with and without decay, beside one at a time."""
    kinds = (sm.PowerOfChoices, sm.LeastConnections, sm.JoinIdleQueue)
    latencies = [kind(rate, 10).latency for kind in kinds for rate in (10.0, 300.0, 700.0, 850.0)]
    assert {type(each) for each in latencies} == {ErlangMixture}
    assert len({each.decay > 0 for each in latencies}) == 2
    latencies = [ErlangMixture(each.rate, each.weights, each.decay) for each in latencies]  # told to any level
    levels = np.array([0.01, 0.5, 0.95, 0.99, 0.9999, 1.0 - 1e-9])
    one_by_one = np.array([each.icdf(levels) for each in latencies])
    np.testing.assert_allclose(ErlangMixture.icdf_of(latencies, levels), one_by_one, rtol=1e-11)
    ends = np.array([0.0, 0.5])
    np.testing.assert_allclose(ErlangMixture.icdf_of(latencies[:2], ends), [each.icdf(ends) for each in latencies[:2]])


@pytest.mark.parametrize("replacement", ["with", "without"])
@pytest.mark.parametrize(("servers", "choices", "spread"), [(2, 2, 14), (5, 4, 7), (6, 6, 6), (10, 8, 4), (30, 8, 2)])
@pytest.mark.parametrize("load", [0.05, 0.35])
def test_how_many_wait_for_few_servers_and_many_choices(servers, choices, spread, replacement, load):
    """Beside a wide chain; no chance in it. (The mean field with its refinements misses up to 85% of P(wait) here.)"""
    model = sm.PowerOfChoices(load * servers, servers, sm.Exponential(1.0), choices=choices, replacement=replacement)
    truth = 1.0 - found_by(shortest_of(choices, replacement == "with"), load, servers, 1, spread).weights[0]
    said = model.accuracy("probability_of_wait")
    assert said.label == "simulated" or abs(model.probability_of_wait - truth) <= said.error * truth + 1e-12
