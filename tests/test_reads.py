"""Reads of a consensus group: rounds that are shared, by hand and event by event; every way against its twin.

False-alarm rate of the comparisons with simulation 1e-6 each verification; seeds are fixed, so a pass stays one.
"""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate

import scaling_models as sm
from scaling_models.answers import answer
from scaling_models.latency.quadrature import moments
from scaling_models.latency.residual import Residual
from scaling_models.montecarlo.kernels.reads import shared_rounds
from scaling_models.quorums import Raft, ReadLatency, reads_compared
from scaling_models.quorums.formulas import batches, reads
from scaling_models.quorums.group_reads import WAYS

E, D, U = sm.Exponential, sm.Deterministic, sm.Uniform
TIMES = [E(0.01), U(0.005, 0.02), sm.LogNormal(0.01, 4.0), sm.Pareto(0.01, 3.5), sm.Empirical((0.01, 0.02, 0.05))]


@pytest.mark.parametrize("time", TIMES, ids=repr)
def test_what_is_left_of_a_time_under_way(time):
    left = Residual(time)
    at = np.array([0.0, 0.001, 0.004, 0.012, 0.03])
    last = time.support[1] if math.isfinite(time.support[1]) else time.iccdf(1e-13)
    ends = np.unique(np.concatenate([time.cuts, at, [last]]))
    for t in at[at < last]:
        pieces = [part for part in ends if t <= part <= last]
        area = sum(integrate.quad(time.ccdf, a, b)[0] for a, b in itertools.pairwise(pieces))
        assert left.ccdf(t) == pytest.approx(area / time.mean(), rel=1e-6, abs=1e-9)
    assert left.mean() == pytest.approx(moments(left)[0], rel=1e-6)
    assert left.pdf(0.0) == pytest.approx(1.0 / time.mean())


def test_residuals_that_are_known():
    t = np.array([1e-4, 0.004, 0.0099, 0.05, 0.3])
    np.testing.assert_allclose(Residual(E(0.01)).ccdf(t), np.exp(-t / 0.01), rtol=1e-8)
    np.testing.assert_allclose(Residual(D(0.01)).ccdf(t), np.maximum(1.0 - t / 0.01, 0.0), atol=1e-12)
    np.testing.assert_allclose(Residual(sm.Pareto(0.02, 2.0)).ccdf(0.3), 0.01 / 0.3 / 2.0, rtol=1e-7)
    with pytest.raises(ValueError, match=r"Residual.time must have a finite mean above 0 s"):
        Residual(D(0.0))


@given(st.floats(0.01, 300.0), st.floats(1e-3, 0.1))
@settings(max_examples=60, deadline=None)
def test_no_event_within_a_time(rate, mean):
    a = rate * mean
    assert batches.none_comes(rate, E(mean)) == pytest.approx(1.0 / (1.0 + a), rel=1e-9)
    assert batches.none_comes(rate, sm.Erlang(mean, 3)) == pytest.approx((1.0 + a / 3.0) ** -3, rel=1e-7, abs=1e-12)
    assert batches.none_comes(rate, D(mean)) == pytest.approx(math.exp(-a), rel=1e-12)
    assert batches.none_comes(rate, U(0.0, 2.0 * mean)) == pytest.approx(-math.expm1(-2.0 * a) / (2.0 * a), rel=1e-8)
    assert batches.round_busy(rate, D(mean)) == pytest.approx(float(batches.group_commit_busy(rate, mean)), rel=1e-12)
    mean_time = batches.shared_round(rate, D(mean)).mean()
    assert mean_time == pytest.approx(float(batches.group_commit_mean(rate, mean)), rel=1e-9)


def test_rounds_of_exponential_length_are_a_chain():
    """Idle and busy are then a chain of three states: how often it is idle, and with it the mixture, by its balance."""
    rate, mean = 250.0, 0.008
    # idle -> busy with nobody waiting -> busy with somebody waiting -> busy with nobody waiting ...
    flows = np.array([[-rate, rate, 0.0], [1 / mean, -1 / mean - rate, rate], [0.0, 1 / mean, -1 / mean]])
    shares = np.linalg.lstsq(np.vstack([flows.T, np.ones(3)]), np.array([0.0, 0.0, 0.0, 1.0]), rcond=None)[0]
    assert batches.round_busy(rate, E(mean)) == pytest.approx(1.0 - shares[0], rel=1e-9)
    found = batches.shared_round(rate, E(mean))
    expected = sm.mixture((shares[0], 1.0 - shares[0]), (E(mean), sm.Erlang(2 * mean, 2)))
    t = np.array([0.001, 0.01, 0.05, 0.1])
    np.testing.assert_allclose(found.ccdf(t), expected.ccdf(t), rtol=1e-6)
    rounds = (1.0 - shares[0]) / mean
    assert batches.round_size(rate, E(mean)) == pytest.approx(rate / rounds, rel=1e-9)


def by_a_loop(arrivals, rounds, most):
    """Ends of rounds, one read after the other."""
    free, number, through, at = 0.0, 0, [], 0
    while at < len(arrivals):
        start = max(arrivals[at], free)
        free, taken = start + rounds[number], 0
        number += 1
        while at < len(arrivals) and arrivals[at] <= start and taken < most:
            through.append((free, taken == 0))
            at, taken = at + 1, taken + 1
    return through


@given(st.integers(0, 10**6), st.sampled_from([0.2, 1.0, 20.0]), st.sampled_from([1, 3, 10**9]))
@settings(max_examples=60, deadline=None)
def test_shared_rounds_are_those_of_a_plain_loop(seed, rate, most):
    rng = np.random.default_rng(seed)
    gaps = rng.exponential(1.0 / rate, (3, 40)) * (rng.random((3, 40)) < 0.8)  # some come together
    arrivals, rounds = np.cumsum(gaps, axis=1), rng.exponential(1.0, (3, 40))
    through, opens = shared_rounds(arrivals, rounds, most)
    for lane in range(3):
        expected = by_a_loop(arrivals[lane], rounds[lane], most)
        np.testing.assert_allclose(through[lane], [end for end, _ in expected], rtol=0, atol=1e-9)
        assert opens[lane].tolist() == [first for _, first in expected]


def test_batches_by_size_and_by_window_against_poisson_streams():
    """Means of 64 streams at 5.5 standard errors (4e-8); a formula 3% off fails, for the error is less than 0.5%."""
    rng, rate, window, size = np.random.default_rng(3), 7.0, 0.4, 6
    times = np.cumsum(rng.exponential(1.0 / rate, (64, 12_000)), axis=1)
    full = times.reshape(64, -1, size)
    by_size = (full[:, :, -1:] - full).mean(axis=(1, 2))
    waits, sizes = [], []
    for lane in times:
        opened, at, mine, counts = -1.0, 0, [], []
        for at in lane:
            if at > opened + window or opened < 0:
                opened = at
                counts.append(0)
            mine.append(opened + window - at)
            counts[-1] += 1
        waits.append(np.mean(mine))
        sizes.append(np.mean(counts))
    cases = [
        (by_size, batches.size_wait(size, rate)),
        (np.array(waits), batches.window_wait(window, rate)),
        (np.array(sizes), batches.window_size(window, rate)),
    ]
    for found, exact in cases:
        error = found.std(ddof=1) / 8.0
        assert abs(found.mean() - exact) < 5.5 * error
        assert error < 0.005 * exact / 2.0


def test_pipelines():
    assert batches.pipelined_throughput(1, 10, 0.001, 0.02) == pytest.approx(500.0)
    assert batches.enough_window(0.001, 0.02) == 20
    assert batches.pipelined_throughput([19, 20, 40], 10, 0.001, 0.02) == pytest.approx([9500.0, 10_000.0, 10_000.0])


def test_each_way_by_hand():
    model = ReadLatency("ReadIndex", (E(0.004),) * 4, D(0.0), 1e-9, answering=0.0, apply_lag=0.002, pending=0.25)
    second = 0.004 * (1 / 4 + 1 / 3)  # the second of four exponential replies
    means = {
        "log": second,
        "ReadIndex": second,
        "lease": 0.0,
        "follower": 0.004 + second + 0.002,
        "quorum": 1.25 * second,
        "bounded staleness": 0.0,
    }
    for way, mean in means.items():
        assert model.replace(way=way).latency.mean() == pytest.approx(mean, rel=1e-6), way
    busy = model.replace(read_rate=1e7).latency.mean()  # all wait for half a round on the way, and then for a whole one
    assert busy == pytest.approx(Residual(model._round).mean() + second, rel=1e-6)
    assert model.replace(read_rate=1e7, rounds="each its own").latency.mean() == pytest.approx(second, rel=1e-6)
    log = ReadLatency("log", (D(0.010), D(0.020)), E(0.003), answering=0.0)
    assert log.latency.mean() == pytest.approx(
        Raft((0.010 + E(0.003), 0.020 + E(0.003)), E(0.003)).commit_latency.mean(), rel=1e-7
    )
    alone = ReadLatency("ReadIndex", (), answering=0.001)
    assert alone.latency.mean() == pytest.approx(0.001)
    assert alone.leader_messages == pytest.approx(2.0)


def test_rounds_that_may_never_end_are_an_answer():
    """One such round, and all reads after it wait for good."""
    lost = sm.mixture((0.99, 0.01), (sm.Exponential(0.005), sm.Never()))
    model = ReadLatency("ReadIndex", (lost, lost), read_rate=100.0)
    assert model.latency == sm.Never() + 0.002
    assert math.isinf(model.latency.icdf(0.01))
    assert model.replace(rounds="each its own").latency.lost == pytest.approx(1e-4)
    assert len(model.timeline(1).times) == 100
    with pytest.raises(ValueError, match="have no mean: it has no steady state"):
        model.simulate(1000)


def test_of_rounds_that_no_read_opened_there_is_no_size():
    found = ReadLatency(read_rate=1e5).simulate(64)  # 400 reads share a round
    assert found.leader_messages.value == 2.0
    assert "round_size" not in found.answers


def test_messages_at_the_leader():
    counts = [ReadLatency(way, read_rate=1e-6, pending=0.5).leader_messages for way in WAYS]
    assert counts == pytest.approx([10.0, 10.0, 2.0, 10.0, 3.0, 0.0], abs=1e-6)
    shared = ReadLatency(read_rate=1e6)
    assert shared.leader_messages == pytest.approx(2.0 + 8.0 / (1e6 * shared._round.mean()), rel=1e-9)


def test_all_ways_beside_each_other():
    table = reads_compared(ReadLatency(closed_lag=2.0))
    assert list(table.index) == list(WAYS)
    assert (table["mean"] <= table["p99"]).all()
    assert table.staleness["bounded staleness"] == 2.0
    assert (table.staleness.drop("bounded staleness") == 0.0).all()
    assert table.returns.str.startswith("linearizable").sum() == 5
    assert table["mean"]["lease"] < table["mean"]["ReadIndex"] < table["mean"]["follower"]


def test_leases():
    assert reads.lease_left(10.0, 2.0, 1.25, 11.0) == pytest.approx(0.6)
    assert reads.lease_left(10.0, 2.0, 1.25, [11.6, 12.0]).tolist() == [0.0, 0.0]
    with pytest.raises(ValueError, match=r"lease_left: drift must lie in \[1, inf\)"):
        reads.lease_left(0.0, 1.0, 0.9, 0.0)
    assert ReadLatency("lease", lease=2.0, clock_drift=1.25).lease_time == pytest.approx(1.6)
    for lease, beat, gone in ((1.0, 0.1, 0.0), (0.05, 0.1, 0.0), (1.0, 0.4, 0.8), (1.0, 0.1, 2.0)):
        area, _ = integrate.quad(lambda u, left=lease - gone: max(left - u, 0.0), 0.0, beat, points=[lease - gone])
        assert reads.lease_idle(lease, beat, gone) == pytest.approx(area / beat, abs=1e-12)
    assert ReadLatency("ReadIndex").lease_cost == 0.0


def test_a_write_under_way():
    """M/G/infinity: by Poisson writes that last a constant time, none began within it."""
    assert reads.second_round(20.0, 0.05) == pytest.approx(1.0 - math.exp(-1.0))


CASES = [ReadLatency.example().replace(way=way) for way in WAYS] + [
    ReadLatency(read_rate=5000.0, follower_rtts=(D(0.002), D(0.003)), fsync=D(0.001)),
    ReadLatency.example().replace(rounds="each its own"),
    ReadLatency.example().replace(read_rate=20_000.0),
]


@pytest.mark.parametrize("model", CASES, ids=lambda model: f"{model.way} {model.rounds} {model.read_rate:g}")
def test_exact_ways_agree_with_their_twins(model):
    table = sm.verify(model, requests=1_000_000, seed=4)
    assert (table.verdict == "agrees").all(), table.to_string()


class Wrong(ReadLatency):
    """A confirmation three per cent too quick."""

    @answer("s", "wrong")
    def latency(self):
        """Scaled."""
        return ReadLatency.latency.compute(self) * 0.97

    @answer("reads", "wrong")
    def round_size(self):
        """Three per cent too many."""
        return ReadLatency.round_size.compute(self) * 1.03


def test_three_per_cent_are_seen():
    table = sm.verify(Wrong.example(), requests=1_000_000).set_index("quantity")
    assert (table.loc[["latency mean", "latency p50", "latency p99", "round_size"], "verdict"] == "disagrees").all()


def test_what_the_formulas_miss():
    slow = sm.verify(ReadLatency.example(), requests=400_000, violating="replies slow together").set_index("quantity")
    assert slow.loc["latency p99", "miss"] < -0.05
    bursts = sm.verify(ReadLatency.example(), requests=400_000, violating="reads in bursts").set_index("quantity")
    assert bursts.loc["round_size", "miss"] < -0.3


@pytest.mark.parametrize("links", ["const", "normal"])
def test_etcd_confirms_its_reads_by_a_round_to_the_faster_follower(links):
    """One read at a time; what etcd itself takes for a read is the same read over links without delay."""
    series = sm.data.etcd_latency()
    followers = tuple(sm.Empirical(tuple(series[f"{links}_rtt_{i}"])) for i in (2, 3))
    own = float(np.mean(series["zero_read_paced"]))
    model = ReadLatency("ReadIndex", followers, read_rate=1.0 / 0.030, rounds="each its own", answering=own)
    assert model.latency.mean() == pytest.approx(series[f"{links}_read_paced"].mean(), rel=0.05)
    assert model.latency.icdf(0.5) == pytest.approx(np.median(series[f"{links}_read_paced"]), rel=0.05)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ReadLatency("maybe"), "ReadLatency.way must be one of 'log', 'ReadIndex'"),
        (lambda: ReadLatency(clock_drift=0.5), r"ReadLatency.clock_drift must lie in \[1, inf\)"),
        (lambda: ReadLatency(pending=1.5), r"ReadLatency.pending must lie in \[0, 1\]"),
        (lambda: ReadLatency(read_rate=1e9).simulate(1000), r"ReadLatency.simulate: .* reads would have to be played"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()
