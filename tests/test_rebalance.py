"""Rebalances: chases against loops, queues with chunks against the algebra, amounts against placed keys.

Statistical tests: two-sided at 1e-7 each (5.33 standard errors), fewer than 40 of them: one false alarm in 250,000 runs
of this file with fresh seeds; the seeds are fixed, so a pass stays one.
"""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import scaling_models as sm
from scaling_models import figures
from scaling_models.montecarlo.kernels import rebalancing as kernel
from scaling_models.shards import (
    PLACEMENTS,
    EvenHash,
    HashRing,
    HashSlots,
    Modulo,
    MultiProbe,
    RangePartition,
    Rebalance,
)
from scaling_models.shards.foreground import DelayedLatency, ForegroundLatency
from scaling_models.shards.formulas import rebalancing as formulas
from scaling_models.shards.formulas.chunk_delays import at_once, foreground_survival
from scaling_models.shards.moved_amounts import amounts

SURE = 5.33
HOUR = 3600.0
E = sm.Exponential


def rounds_played(data, rate, writes, stop, after):
    """The chase one round after the other; `after` says what a round leaves."""
    left, time, rounds = data, 0.0, 0
    while left > stop:
        time, left, rounds = time + left / rate, after(left), rounds + 1
    return rounds, time, left


@settings(deadline=None, max_examples=60)
@given(st.floats(0.0, 0.97), st.floats(1e-6, 0.9), st.floats(1e3, 1e15), st.floats(1.0, 1e10))
def test_the_append_chase_is_its_rounds(ratio, stop, data, rate):
    played = rounds_played(data, rate, 0.0, stop * data, lambda left: left * ratio)
    found = formulas.append_chase(data, rate, ratio * rate, stop * data)
    if (
        abs(played[2] / (stop * data) - 1.0) < 1e-9
        or abs(played[2] / ratio / (stop * data) - 1.0 if ratio else 1) < 1e-9
    ):
        return  # rounding decides whether it is small enough
    assert found.rounds == played[0]
    np.testing.assert_allclose([found.duration, found.left], played[1:], rtol=1e-9)
    assert found.duration <= data / (rate * (1.0 - ratio)) * (1 + 1e-12)


def test_the_chase_broadcasts_and_never_ends_at_the_rate_of_the_copy():
    found = formulas.append_chase(400e9, 50e6, np.array([0.0, 40e6, 48e6, 50e6, 60e6]), 1e3)
    np.testing.assert_allclose(found.duration[:3] / HOUR, [2.2222, 11.1111, 55.5556], rtol=1e-4)
    assert np.isinf(found.duration[3:]).all()
    assert formulas.append_chase(10.0, 1.0, 5.0, 10.0).rounds == 0


@pytest.mark.parametrize("ratio", [0.0, 0.5, 0.99, 1.0, 1.0005])
def test_the_overwrite_chase_is_its_rounds(ratio):
    played = rounds_played(1.0, 2.0, 0.0, 2e-3, lambda left: 1.0 - math.exp(-ratio * left))
    found = formulas.overwrite_chase(1.0, 2.0, 2.0 * ratio, 2e-3)
    assert found.rounds == played[0]
    np.testing.assert_allclose([found.duration, found.left], played[1:], rtol=1e-9)


def test_an_overwrite_chase_sticks_where_the_iteration_does():
    for ratio in (1.01, 1.5, 3.0, 30.0):
        left = 1.0
        for _ in range(5000):
            left = 1.0 - math.exp(-ratio * left)
        assert formulas.stuck_share(ratio) == pytest.approx(left, rel=1e-9)
    assert round(float(formulas.stuck_share(1.5)), 2) == 0.58
    assert formulas.stuck_share([0.0, 1.0]).tolist() == [0.0, 0.0]
    stuck = formulas.overwrite_chase(100.0, 1.0, 1.5, 1.0)
    assert math.isinf(stuck.duration)
    assert stuck.left == pytest.approx(58.28, abs=0.01)
    assert math.isfinite(formulas.overwrite_chase(100.0, 1.0, 1.5, 59.0).duration)  # what sticks is little enough


def test_what_is_left_of_an_overwrite_chase_runs_through_its_rounds():
    data, rate, writes = 1000.0, 10.0, 8.0
    times, left = [0.0], [data]
    for _ in range(6):
        times.append(times[-1] + left[-1] / rate)
        left.append(data * (1.0 - math.exp(-writes * left[-1] / rate / data)))
    np.testing.assert_allclose(formulas.overwritten_left(data, rate, writes, np.array(times)), left, rtol=1e-9)
    half = formulas.overwritten_left(data, rate, writes, np.array([50.0]))
    assert half[0] == pytest.approx(500.0 + 1000.0 * (1.0 - math.exp(-0.4)), rel=1e-12)


@pytest.mark.parametrize(("before", "after"), [(4, 5), (4, 8), (5, 4), (9, 3), (6, 6)])
def test_even_ports_are_the_models_with_endless_keys(before, after):
    ports = {"b_in": 40e6, "b_out": 30e6, "fabric": 110e6}
    model = Rebalance(
        EvenHash(), before, after, throttle=1e9, keys=10**12, node_in=40e6, node_out=30e6, fabric=110e6, disk=1e9
    )
    times = formulas.port_times(model.data, before, after, **ports)
    assert model.copy_time.mean() == pytest.approx(max(times), rel=3e-5)  # keys by chance: 1e-6 / sqrt(share) each
    if before != after:
        names = ("sender", "receiver", "fabric")
        assert model.bottleneck == names[int(np.argmax(times))]


def test_what_an_old_node_of_a_ring_sends_has_that_spread():
    """Gaps of a ring as exponentials over their sum; new tokens go to the next old one's node."""
    tokens, before, after, draws = 4, 3, 5, 100_000
    rng = np.random.default_rng(1)
    owner = np.argsort(rng.random((draws, tokens * after)), axis=1) % after
    gaps = rng.standard_exponential(owner.shape)
    gaps /= gaps.sum(axis=1, keepdims=True)
    sent, follower = np.zeros(draws), np.full(draws, -1)
    for at in range(2 * tokens * after - 1, -1, -1):
        node = owner[:, at % owner.shape[1]]
        follower = np.where(node < before, node, follower)
        if at < owner.shape[1]:
            sent += np.where((node >= before) & (follower == 0), gaps[:, at], 0.0)
    assert abs(sent.mean() - (1 / 3 - 1 / 5)) < SURE * sent.std() / math.sqrt(draws)
    square = (1.0 + formulas.sent_scv(tokens, before, after)) * (1 / 3 - 1 / 5) ** 2
    error = (sent**2).std() / math.sqrt(draws)
    assert abs((sent**2).mean() - square) < SURE * error
    assert SURE * error < 0.03 * square  # three per cent would be seen


@pytest.mark.parametrize("kind", PLACEMENTS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("nodes", [(4, 5), (6, 4)])
def test_the_share_that_moves_is_that_of_placed_keys(kind, nodes):
    placement, keys, draws = kind(), 2000, 60
    model = Rebalance(placement, *nodes, keys=keys)
    if model.accuracy("moved_share").label == "simulated":
        with pytest.raises(sm.NoClosedForm, match="no formula is known for what moves"):
            _ = model.duration
        return
    moved = kernel.moves(placement.owners, keys, nodes, draws, 3).moved
    law = model.moved_share
    assert abs(moved.mean() - law.mean()) < SURE * math.sqrt(law.variance() / draws)
    spread = law.variance() * math.sqrt(2.0 / (draws - 1))  # of the variance of normals
    assert abs(moved.var(ddof=1) - law.variance()) < SURE * spread


def test_the_foregrounds_law_is_the_algebras_where_requests_go_first():
    """M/M/1's latency, and with probability share / (1 - rho) the rest of a chunk; measured error of the lattice."""
    for rate, chunk, share in [(50.0, 0.05, 0.2), (80.0, 0.001, 0.1), (20.0, 0.2, 0.8), (5.0, 0.5, 0.3)]:
        hit = share / (1.0 - rate * 0.01)
        exact = E(1.0 / (100.0 - rate)) + sm.mixture((1.0 - hit, hit), (0.0, sm.Uniform(0.0, chunk)))
        law = foreground_survival(rate, E(0.010), chunk, share, True)
        for level in (0.05, 0.5, 0.99, 0.9999):
            assert float(law.inverse(np.log(1.0 - level))) == pytest.approx(float(exact.icdf(level)), rel=1e-3), level


@pytest.mark.parametrize("chunk", [0.15, 0.02, 0.003])
def test_a_service_that_is_always_as_long_is_not_smeared(chunk):
    """M/D/1's latency by its own series, and with probability share / (1 - rho) the rest of a chunk."""
    service, hit = sm.Deterministic(0.00175), 0.2 / 0.93
    model = Rebalance(service=service, arrival_rate=40.0, chunk=chunk)
    alone = sm.CentralQueue(40.0, 1, service).latency
    exact = alone + sm.mixture((1.0 - hit, hit), (0.0, sm.Uniform(0.0, chunk)))
    law = model.foreground_latency
    assert model.disk_share == pytest.approx(0.2, rel=1e-12)
    assert law.mean() == pytest.approx(model.foreground_wait + 0.00175, rel=1e-3)
    for level in (0.05, 0.5, 0.7, 0.729, 0.8, 0.95, 0.99, 0.9999):
        error = model.accuracy("foreground_latency", level).error
        assert float(law.icdf(level)) == pytest.approx(float(exact.icdf(level)), rel=error), level


def test_who_waits_and_who_does_not_make_the_whole():
    """In order of arrival, of any service: the law in parts is the law at once."""
    for service in (E(0.010), sm.Uniform(0.0, 0.02), sm.Hyperexponential(0.010, 5.0)):
        for order in ("requests first", "in order of arrival"):
            whole = ForegroundLatency(50.0, service, 0.05, 0.2, order)
            none = at_once(0.5, 0.2, order == "requests first")
            parts = sm.mixture([none, 1.0 - none], [service, DelayedLatency(**whole.values())])
            t = np.array([0.003, 0.01, 0.04, 0.1])
            np.testing.assert_allclose(parts.ccdf(t), whole.ccdf(t), rtol=2e-3)


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize(
    "service", [E(0.010), sm.Erlang(0.010, 4), sm.Hyperexponential(0.010, 5.0), sm.Uniform(0.0, 0.02)]
)
@pytest.mark.parametrize("chunk", [0.001, 0.05, 0.5])
def test_the_mean_of_the_law_is_that_of_the_textbook(service, chunk, first):
    square = service.variance() + 1e-4
    wait = float(formulas.foreground_wait(50.0, 0.010, square, chunk, 0.2, first))
    law = foreground_survival(50.0, service, chunk, 0.2, first)
    assert law.moments[0] == pytest.approx(wait + 0.010, rel=1e-3)


def test_a_chunk_that_is_a_request_is_more_requests():
    """In order of arrival, with chunks as long as constant services: M/D/1 with both, in its own two ways."""
    law = foreground_survival(40.0, sm.Deterministic(0.010), 0.010, 0.3, False)
    both = foreground_survival(70.0, sm.Deterministic(0.010), 0.010, 0.0, False)
    for t in (0.02, 0.05, 0.1):
        assert float(law(np.array(t))) == pytest.approx(float(both(np.array(t))), abs=2e-3)
    alone = float(formulas.foreground_wait(70.0, 0.01, 1e-4, 1.0, 0.0, True))
    assert formulas.foreground_wait(40.0, 0.01, 1e-4, 0.01, 0.3, False) == pytest.approx(alone, rel=1e-12)


def test_short_chunks_halve_the_wait_at_the_same_rate():
    long, short = Rebalance(chunk=0.050), Rebalance(chunk=0.001)
    assert long.disk_share == short.disk_share == pytest.approx(0.2, rel=1e-12)
    assert long.foreground_wait == pytest.approx(0.020, rel=1e-12)
    assert short.foreground_wait == pytest.approx(0.0102, rel=1e-12)
    queued = long.replace(order="in order of arrival")
    assert queued.foreground_wait == pytest.approx(0.010 / 0.3, rel=1e-12)
    wrong = 0.010 / (0.5 * 0.3)  # the two-term formula is that of a class of low priority
    assert queued.foreground_wait < 0.6 * wrong


def test_the_defaults_of_the_story():
    hours = {w: Rebalance(write_rate=w * 1e6).duration.mean() / HOUR for w in (0, 40, 48, 50)}
    assert [round(hours[w], 1) for w in (0, 40, 48)] == [2.2, 11.1, 55.5]
    assert Rebalance(write_rate=50e6).duration == sm.Never()
    assert math.isinf(Rebalance(write_rate=50e6).rounds)
    assert Rebalance(write_rate=50e6).cutover_pause == math.inf


def test_will_catch_up_ever_finish():
    assert Rebalance().says == (
        "Catch-up ends, after 11.1 h on average: it copies 50 MB/s, writes bring 40 MB/s, 10 MB/s (20%) to spare"
    )
    assert Rebalance(write_rate=60e6).says == (
        "Catch-up never ends: it copies 50 MB/s, writes bring 60 MB/s, 10 MB/s too much: 100% stays behind"
    )
    assert "58% stays behind" in Rebalance(write_rate=75e6, writes="overwritten").says
    assert "just as much" in Rebalance(write_rate=50e6).says
    assert Rebalance(nodes_after=4).says == "Nothing moves"
    assert Rebalance(sm.Maglev()).says.startswith("Will catch-up ever finish? Maglev")


def test_what_binds():
    assert Rebalance().bottleneck == "receiver"
    assert Rebalance(nodes_before=5, nodes_after=4).bottleneck == "sender"
    assert Rebalance(nodes_after=9, fabric=60e6).bottleneck == "fabric"
    assert Rebalance(arrival_rate=100).bottleneck == "requests"
    assert Rebalance(arrival_rate=100).duration == sm.Never()
    assert Rebalance(arrival_rate=90, throttle=200e6).copy_rate == pytest.approx(
        25e6
    )  # what requests leave of the disk
    still = Rebalance(nodes_after=4)
    assert still.bottleneck == "nothing"
    assert (still.duration.mean(), still.rounds, still.disk_share) == (0.0, 0.0, 0.0)
    assert still.foreground_latency == still.latency_before


def test_the_best_throttle_is_the_last_that_holds():
    for model, target in [(Rebalance(), 0.105), (Rebalance(order="in order of arrival"), 0.15)]:
        best = model.best_throttle(target)
        assert model.replace(throttle=best).foreground_latency.icdf(0.99) == pytest.approx(target, rel=1e-4)
        assert model.replace(throttle=1.03 * best).foreground_latency.icdf(0.99) > target
    assert Rebalance().best_throttle(0.05) == 0.0  # not even without the copy
    assert Rebalance(chunk=0.001).best_throttle(1.0) == pytest.approx(125e6)  # all that requests leave
    with pytest.raises(sm.NoClosedForm, match="only the mean latency is known"):
        Rebalance(service=sm.LogNormal(0.01, 4.0)).best_throttle(0.1)


def test_a_heavy_service_is_known_by_its_mean():
    model = Rebalance(service=sm.LogNormal(0.010, 4.0))
    rest = (50 * 5e-4 + 0.2 * 0.05) / 2
    assert model.foreground_latency.mean() == pytest.approx(rest / 0.5 + 0.010, rel=1e-9)
    assert model.accuracy("foreground_latency", 0.99).label == "simulated"


CASES = [
    Rebalance(EvenHash(), writes="overwritten", pause=5.0),
    Rebalance(EvenHash(), 4, 8, order="in order of arrival", write_rate=60e6),
    Rebalance(HashSlots(), 10, 9, write_rate=0.0, chunk=0.002),
    Rebalance(Modulo(), 4, 5, write_rate=20e6, service=sm.Erlang(0.010, 3)),
    Rebalance(HashRing(), 4, 7, fabric=100e6, write_rate=50e6),
    Rebalance(RangePartition(), 6, 7, throttle=200e6, write_rate=30e6),  # all that requests leave: chunk after chunk
    Rebalance(RangePartition(), 2, 5, throttle=6.8e6, write_rate=547e3),  # the second range sends more than the first
    Rebalance(HashRing(), 17, 31, data=2.4e12, write_rate=40e6, keys=1064, arrival_rate=30.0),  # a round more or less
    Rebalance(EvenHash(), 4, 1, data=3.17e12, write_rate=5.16e6, writes="overwritten", keys=11_045, arrival_rate=5.0),
]


@pytest.mark.slow
@pytest.mark.parametrize("model", CASES, ids=lambda model: repr(model)[10:70])
def test_the_twin_agrees(model):
    table = sm.verify(model, requests=100_000, seed=2)
    assert (table.verdict != "disagrees").all(), table.to_string()
    means = table[table.quantity.str.endswith(" mean")]
    assert (means.verdict == "agrees").all(), table.to_string()


@pytest.mark.slow
def test_three_per_cent_would_be_seen():
    table = sm.verify(Rebalance(EvenHash(), chunk=0.01, arrival_rate=40.0), requests=2_000_000, seed=4)
    table = table.set_index("quantity")
    for name in ("duration mean", "copy_time mean", "rounds", "foreground_wait", "disk_share"):
        row = table.loc[name]
        assert row.verdict == "agrees", table.to_string()
        assert row.smallest_error < 0.03, table.to_string()


class LateRebalance(Rebalance):
    """With a duration and a wait that are three per cent high."""

    @sm.answers.answer("s", "a duration that is wrong", sm.shards.rebalance.NEAR)
    def duration(self):
        """Off by three per cent."""
        return Rebalance.duration.compute(self) * 1.03

    @sm.answers.answer("s", "a wait that is wrong")
    def foreground_wait(self):
        """Off by three per cent."""
        return Rebalance.foreground_wait.compute(self) * 1.03


@pytest.mark.slow
def test_a_formula_three_per_cent_wrong_fails():
    table = sm.verify(LateRebalance(EvenHash(), chunk=0.01, arrival_rate=40.0), requests=2_000_000, seed=5)
    wrong = table.set_index("quantity").loc[["duration mean", "foreground_wait"]]
    assert (wrong.verdict == "disagrees").all(), table.to_string()


@pytest.mark.slow
def test_what_the_formula_misses_where_its_assumptions_are_broken():
    model = Rebalance(write_rate=40e6)
    table = sm.verify(model, requests=120_000, seed=1, violating="writes follow the data").set_index("quantity")
    assert table.miss["duration p95"] < -0.3  # optimistic
    queued = Rebalance(order="in order of arrival")
    paced = sm.verify(queued, requests=100_000, seed=1, violating="chunks at a steady pace").set_index("quantity")
    assert paced.miss["foreground_wait"] > 0.03  # pessimistic
    first = sm.verify(Rebalance(), requests=100_000, seed=1, violating="chunks at a steady pace").set_index("quantity")
    assert first.verdict["foreground_wait"] == "agrees"  # requests first: whenever chunks come


def test_requests_at_the_disk_are_played_as_a_heap_of_events_would():
    """One lane of requests before chunks, against a plain loop that is fed the same arrivals and services."""
    gap, service, pause, chunk = E(0.02), E(0.010), E(0.25), 0.05
    for play, first in [(kernel.latencies_first, True), (kernel.latencies_in_order, False)]:
        found = play(gap, service, pause, chunk, 8, 40_000, 3)[:, 2000:]
        each = found.mean(axis=1)
        wait = float(formulas.foreground_wait(50.0, 0.010, 2e-4, chunk, 0.2, first))
        assert abs(each.mean() - wait - 0.010) < 15.0 * each.std(ddof=1) / math.sqrt(8)  # Student, 7 degrees, 1e-6


def test_a_rebalance_that_never_ends_is_not_simulated():
    with pytest.raises(sm.NotSettled, match="no end to simulate"):
        Rebalance(write_rate=50e6).simulate(1000)
    with pytest.raises(sm.NotSettled, match="requests alone fill the disk"):
        Rebalance(arrival_rate=100).simulate(1000)
    with pytest.raises(ValueError, match=r"throttle must lie in \(0, inf\) bytes/s; got 0"):
        Rebalance(throttle=0)
    with pytest.raises(ValueError, match=r"Rebalance.nodes_after must be a whole number in \[1, 1000\] nodes; got 0"):
        Rebalance(nodes_after=0)


def test_few_keys_are_simulated():
    with pytest.raises(sm.NoClosedForm, match="only 10 keys move on average"):
        amounts(EvenHash(), 9, 10, 100)


@pytest.mark.parametrize(
    "model",
    [Rebalance(), Rebalance(write_rate=60e6), Rebalance(nodes_after=4), Rebalance(writes="overwritten")],
    ids=repr,
)
def test_the_figure_has_the_same_traces_whatever_happens(model):
    figure = figures.rebalance(model)
    assert [trace.name for trace in figure.data] == [
        "bytes left to copy", "written meanwhile", "cut-over", "", "p99 of requests",
    ]  # fmt: skip
    assert figure.to_json() == figures.rebalance(model).to_json()
    assert model.says.split(":")[0] in figure.layout.title.text.replace("<br>", " ")


def test_the_course_ends_at_the_cut_over():
    model = Rebalance()
    course = model.course(np.array([0.0, model.planned / 2, 2 * model.planned]))
    np.testing.assert_allclose(course["bytes left to copy"], [400e9, 200e9, 0.0], rtol=2e-4)
    np.testing.assert_allclose(course["bytes written meanwhile"][2], 40e6 * model.planned, rtol=1e-12)
    p99 = course["p99 of requests"]
    assert p99[0] == model.foreground_latency.icdf(0.99)
    assert p99[2] == pytest.approx(math.log(100) / 50.0, rel=1e-4)  # M/M/1


def test_of_nodes_that_are_unequal_by_design_what_each_moves_is_not_told():
    """Seven slots on two nodes, then four: the fuller newcomer gets 2/7, not half of the 3/7 that move."""
    model = Rebalance(HashSlots(7), 2, 4, keys=10_000)
    assert model.moved_share.mean() == pytest.approx(3 / 7)
    assert model.accuracy("copy_time").label == model.accuracy("disk_share").label == "simulated"
    with pytest.raises(sm.NoClosedForm, match="hold more than others by design"):
        _ = model.duration
    assert Rebalance(HashSlots(1000), 2, 4).accuracy("copy_time").label == "within 15%"


def test_quantiles_of_what_one_probed_node_takes_are_not_trusted():
    """Its share ends at k/(k - 1) means: a beta of the same mean and spread has a p99 a third higher."""
    for after, label in ((21, "simulated"), (22, "simulated"), (24, "within 15%"), (60, "within 3%")):
        model = Rebalance(MultiProbe(), 20, after)
        assert model.accuracy("moved_share", 0.99).label == label
        assert model.accuracy("moved_share").label == "exact"


def test_who_receives_most_of_what_few_probes_scatter_is_not_told():
    """When five of eight leave, a leaver's neighbour takes far more than others: 40% off with 2 probes, 2% with 21."""
    model = Rebalance(MultiProbe(2), 8, 3, node_in=2e7, node_out=2e7, fabric=1e12)
    with pytest.raises(sm.NoClosedForm, match="a few tokens decide which receiver moves most"):
        _ = model.copy_rate
    assert model.replace(placement=MultiProbe(21)).accuracy("copy_rate").label == "within 15%"
    assert model.replace(nodes_after=7).accuracy("copy_rate").label == "exact"  # the one that leaves sends all
