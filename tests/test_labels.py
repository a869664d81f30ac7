"""What a label says is what an answer does: one rule for all models, over services and settings; and the refusals."""

import math

import pytest
from scipy import stats

import scaling_models as sm
from scaling_models.answers import answer
from scaling_models.domains import Choice
from scaling_models.latency import Distribution
from scaling_models.pools import (
    Abandonment,
    CentralQueue,
    FailingServers,
    FiniteQueue,
    HedgedRequests,
    JoinIdleQueue,
    LeastConnections,
    LoadStep,
    PowerOfChoices,
    Priorities,
    RandomSplit,
    RetryingClients,
    RoundRobin,
    WeightedSplit,
)

E = sm.Exponential
TIMES = (
    E(0.010),
    sm.Deterministic(0.010),
    sm.Erlang(0.010, 3),
    sm.LogNormal(0.010, 0.5),
    sm.LogNormal(0.010, 4.0),
    sm.Hyperexponential(0.010, 4.0),
    sm.Pareto(0.010, 2.5),
    sm.Pareto(0.010, 1.9),  # of infinite variance
)
NUMBERS = {
    "workers": (4,),
    "servers": (2, 50),
    "arrival_rate": (100.0, 950.0, 1200.0),
    "queue_limit": (0,),
    "first_speed": (0.5,),
    "balancers": (3,),
    "copies": (1,),
}
LEVELS = (0.5, 0.95, 0.99, 0.999, 0.9999, 0.999999)


def changed(model, **changes):
    """The model with changes, or None where they are illegal together."""
    try:
        return model.replace(**changes)
    except ValueError:
        return None


def variants(kind):
    """The model's settings one by one, each also with two services that are not exponential."""
    model = kind.example()
    found = [model, kind()]
    for name, each in kind.parameters().items():
        if isinstance(each.domain, Choice):
            found += [changed(model, **{name: option}) for option in each.domain.options]
        if isinstance(model.values()[name], Distribution):
            found += [changed(model, **{name: times}) for times in TIMES]
        for value in NUMBERS.get(name, ()):
            found.append(changed(model, **{name: value}))
            if "service" in kind.parameters():
                found += [changed(model, **{name: value, "service": times}) for times in (TIMES[1], TIMES[4])]
    return [each for each in dict.fromkeys(found) if each is not None]


def refused(call):
    """Whether it raises `NoClosedForm`."""
    try:
        call()
    except sm.NoClosedForm:
        return True
    return False


def disagreements(model):
    """Answers, and quantiles, whose label and behaviour differ. A band's label stands where its ends are answered."""
    for name in model.answers():
        band = not refused(lambda name=name: getattr(model, f"{name}_low", None))
        silent = refused(lambda name=name: getattr(model, name))
        label = model.accuracy(name).label
        if silent != (label == "simulated") and not (silent and label == "band" and band):
            yield name, None, silent, label
        for level in () if silent or not isinstance(getattr(model, name), Distribution) else LEVELS:
            silent_there = refused(lambda name=name, level=level: getattr(model, name).icdf(level))
            label = model.accuracy(name, level).label
            if silent_there != (label == "simulated") and not (silent_there and label == "band" and band):
                yield name, level, silent_there, label


@pytest.mark.parametrize("kind", sm.MODELS, ids=lambda kind: kind.__name__)
def test_what_is_refused_is_labelled_simulated_and_nothing_else_is(kind):
    wrong = {(type(model).__name__, *found): model for model in variants(kind) for found in disagreements(model)}
    assert not wrong, wrong


@pytest.mark.parametrize("kind", sm.MODELS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("level", [0.0, 1.0, 99.0, -0.1, math.nan, math.inf, "p99", True])
def test_a_level_that_is_none_is_told(kind, level):
    with pytest.raises(ValueError, match=rf"{kind.__name__}.accuracy: level must lie in \(0, 1\), a fraction; got"):
        kind.example().accuracy(kind.headline, level)


@pytest.mark.parametrize(
    "model",
    [
        LeastConnections(136.0, 20, E(1.0), 8),
        LeastConnections(9.0, 10, sm.Erlang(1.0, 2)),
        PowerOfChoices(14.4, 8, E(1.0), 2, choices=5),
        PowerOfChoices(18.0, 20, E(1.0), choices=3),
        JoinIdleQueue(3.6, 6, E(1.0)),
        RandomSplit(3.0, 4, E(1.0)),
    ],
    ids=repr,
)
def test_what_is_left_of_a_wait_next_to_nothing_is_refused_as_it_is_labelled(model):
    for share in (2.0, 1.2, 1.1, 1.04, 1.005, 1.0, 0.999, 0.97, 0.9, 0.7, 0.5):
        level = 1.0 - share * model.probability_of_wait
        if 0.0 < level < 1.0:
            silent = refused(lambda level=level: model.wait.icdf(level))
            assert silent == (model.accuracy("wait", level).label == "simulated"), level
            assert not silent or 0.3 < share < 1.2


def test_an_answer_that_is_none_is_told():
    with pytest.raises(ValueError, match="CentralQueue has no answer 'speed'; it has utilization"):
        CentralQueue().accuracy("speed", 0.99)


OTHER = sm.LogNormal(0.010, 4.0)


@pytest.mark.parametrize(
    ("model", "answers"),
    [
        (FiniteQueue(service=OTHER), ("utilization", "in_flight", "mean_queue_length")),
        (Abandonment(service=OTHER), ("utilization", "probability_of_abandonment")),
        (RetryingClients(service=OTHER), ("collapsed_attempts", "border", "headroom", "fold")),
        (Priorities(service=OTHER), ("urgent_wait", "probability_of_wait")),
        (HedgedRequests(service=OTHER), ("helps_up_to",)),
        (HedgedRequests(300.0, 10, service=OTHER), ("copies", "latency")),
    ],
    ids=lambda value: type(value).__name__,
)
def test_other_services_have_no_exact_answers(model, answers):
    for name in answers:
        assert model.accuracy(name).label == "simulated"
        assert refused(lambda name=name: getattr(model, name))


def test_an_approximation_refuses_levels_beyond_those_that_were_measured():
    pool = PowerOfChoices()
    assert pool.latency.icdf(0.999) > 0
    assert pool.accuracy("latency", 0.999).label == "within 3%"
    with pytest.raises(sm.NoClosedForm, match=r"known up to p99\.9 only: simulate it beyond"):
        pool.latency.icdf(0.9999)
    with pytest.raises(sm.NoClosedForm, match=r"p99\.9 only"):
        (pool.latency + 0.001).iccdf(1e-5)
    assert pool.accuracy("latency", 0.9999).label == "simulated"
    row = sm.compare([pool, CentralQueue()], levels=(99, 99.99))
    assert math.isnan(row["p99.99"][0])
    assert row["p99"][0] > row["p99"][1] > 0
    assert row["p99.99"][1] > 0
    assert PowerOfChoices(choices=1).latency.icdf(0.99999) > 0  # M/M/1, exact


def test_more_choices_than_servers():
    said = r"PowerOfChoices.choices must lie in \[1, 2\], the servers, where they are drawn without replacement; got 3"
    with pytest.raises(ValueError, match=said):
        PowerOfChoices(150.0, 2, choices=3)
    assert PowerOfChoices(150.0, 2, choices=3, replacement="with").latency.mean() > 0
    assert PowerOfChoices(150.0, 2, choices=2).latency.mean() > 0
    assert PowerOfChoices(50.0, 1, choices=3).latency.mean() == pytest.approx(0.02)  # alone: no choice


def test_nobody_is_sent_to_a_simulation_that_refuses():
    """Preemption before several slots, and failing servers of several workers, are not simulated."""
    preempted = Priorities(service=OTHER, order="preemptive")
    restarted = FailingServers(workers=2, fate="restarts")
    varied = FailingServers(workers=2, service=OTHER)
    for model in (preempted, restarted, varied):
        with pytest.raises(sm.NoClosedForm, match="not simulated") as refusal:
            model.latency  # noqa: B018
        assert "simulate it" not in str(refusal.value)
        with pytest.raises(ValueError, match="simulated"):
            model.simulate(1000)
    for model in (Priorities(service=OTHER), FailingServers(fate="restarts"), FailingServers(service=OTHER)):
        with pytest.raises(sm.NoClosedForm, match="simulate it"):
            model.latency  # noqa: B018


@pytest.mark.parametrize("fate", ["resumes", "moves", "restarts", "lost"])
def test_how_many_servers_are_up_is_exact_whatever_else(fate):
    pool = changed(FailingServers(service=OTHER), fate=fate)
    if pool is None:
        pytest.skip(f"there is no fate {fate!r}")
    # Work that begins anew at each failure has no mean where a service may take any time.
    worked = "bound" if fate == "restarts" else "exact"
    labels = {"availability": "exact", "probability_short": worked, "utilization": worked, "offered_load": worked}
    for name, label in labels.items():
        assert pool.accuracy(name).label == label
        assert getattr(pool, name) > 0


@pytest.mark.parametrize(
    "model", [RandomSplit(), WeightedSplit(), RoundRobin()], ids=lambda model: type(model).__name__
)
def test_lattices_tell_their_percentiles(model):
    """What is exact on a lattice is not refused, however rare: 1e-6 is well within it."""
    pool = model.replace(service=OTHER)
    for level in (0.5, 0.99, 0.999999):
        assert pool.accuracy("latency", level).label == "exact"
        assert 0 < pool.latency.icdf(level) < math.inf


def test_a_region_is_true_where_it_is_printed():
    inside, outside = CentralQueue(service=OTHER), CentralQueue(999_900.0, 10_000, OTHER)
    assert inside.accuracy("latency", 0.5).region.startswith("measured for 2 to 50 slots")
    for metric, level in (("latency", None), ("latency", 0.99), ("latency_low", 0.99)):
        said = outside.accuracy(metric, level)
        assert said.label != "within 3%"
        assert said.region.startswith("extrapolated to 10,000 slots at load 0.9999: measured for 2 to 50 slots")


WITH_SERVICE = [kind for kind in sm.pools.MODELS if "service" in kind.parameters()]


@pytest.mark.parametrize("kind", WITH_SERVICE, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("mean", [1e-300, 1e-10, 1e10, 1e300])
def test_a_service_beyond_all_numbers_is_refused(kind, mean):
    with pytest.raises(ValueError, match=rf"{kind.__name__}.service must have a mean in \[1e-09, 1e\+09\] s"):
        kind.example().replace(service=E(mean))


@pytest.mark.parametrize("kind", WITH_SERVICE, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("mean", [1e-9, 1e9])
def test_the_shortest_and_the_longest_service_answer_without_a_warning(kind, mean):
    model = kind.example().replace(service=E(mean))
    for name in model.answers():
        refused(lambda name=name: getattr(model, name))


@pytest.mark.parametrize("kind", [WeightedSplit, LoadStep])
def test_a_service_of_infinite_mean_overloads(kind):
    """SciPy's Pareto of index 0.9 has no mean, of 1.5 no variance: every answer is one, or a sentence."""
    endless = kind(service=stats.pareto(0.9, scale=0.001))
    assert endless.latency == sm.Never() if kind is WeightedSplit else endless.backlog == math.inf
    assert kind is LoadStep or (endless.utilization == math.inf and sum(endless.shares) == pytest.approx(1.0))
    for model in (endless, kind(service=stats.pareto(1.5, scale=0.001))):
        for name in model.answers():
            refused(lambda model=model, name=name: getattr(model, name))
    if kind is WeightedSplit:
        assert WeightedSplit(service=stats.pareto(1.5, scale=0.001)).latency.mean() == math.inf


class Asking(CentralQueue):
    """A queue whose latency asks how far it can be believed."""

    @answer("s", "a latency")
    def latency(self):
        """The queue's, with its label as a condition."""
        return CentralQueue.latency.compute(self) * (1.0 if self.accuracy("latency").label == "exact" else 2.0)


def test_an_answer_may_ask_for_its_own_accuracy():
    assert Asking().latency.mean() == pytest.approx(CentralQueue().latency.mean())
    assert Asking(service=sm.Pareto(0.01, 1.9)).accuracy("latency").label == "simulated"


@pytest.mark.parametrize("placement", [sm.shards.Maglev(251), sm.shards.BoundedLoad()], ids=repr)
def test_an_accuracy_does_not_raise_where_what_decides_it_is_refused(placement):
    model = sm.shards.Rebalance(placement)
    labels = {name: model.accuracy(name).label for name in model.answers()}
    assert {name for name, label in labels.items() if label != "simulated"} == {"latency_before"}
