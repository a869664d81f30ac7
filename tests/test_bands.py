"""`verify` of a band: either end may lie beyond the simulation on its own side only."""

from typing import ClassVar

import pytest

import scaling_models as sm
from scaling_models.answers import Accuracy, answer
from scaling_models.pools.bases.central_band import BandCase
from scaling_models.pools.times.phase_times import PhaseWait, solved


class Banded(sm.CentralQueue):
    """A central queue of which a band is told besides, its ends off by given factors."""

    def accuracy(self, metric, level=None):
        return Accuracy("band", 0.0, "here") if metric.startswith("latency_") else super().accuracy(metric, level)

    @answer("s", "the lower end")
    def latency_low(self):
        return self.latency * self.factors[0]

    @answer("s", "the upper end")
    def latency_high(self):
        return self.latency * self.factors[1]

    factors: ClassVar[tuple[float, float]] = (0.8, 1.2)


class Wrong(Banded):
    """A band that lies beside the truth, on either side."""

    factors: ClassVar[tuple[float, float]] = (1.2, 0.8)


def verdicts(kind):
    table = sm.verify(kind(700.0, 10), requests=200_000, seed=1).set_index("quantity")
    return {(end, level): table.verdict[f"latency_{end} p{level}"] for end in ("low", "high") for level in (50, 95, 99)}


def test_a_band_around_the_truth_agrees_and_one_beside_it_does_not():
    assert set(verdicts(Banded).values()) == {"agrees"}
    assert set(verdicts(Wrong).values()) == {"disagrees"}


def test_the_low_end_is_the_service_where_giants_make_the_mean_wait():
    """Simulated event by event in another language, 64 runs: p50 1.7156 (standard error 0.011)."""
    pool = sm.CentralQueue(2.55, 3, sm.Pareto(1.0, 2.1))
    assert pool.accuracy("latency", 0.5).label == "band"
    assert pool.latency_low.icdf(0.5) <= 1.7156 <= pool.latency_high.icdf(0.5)
    for level in (0.5, 0.9, 0.999):
        assert pool.latency_low.icdf(level) == pool.service.icdf(level)


@pytest.mark.parametrize(("slots", "load"), [(2, 0.6), (5, 0.6), (5, 0.9), (20, 0.9), (20, 0.98)])
@pytest.mark.parametrize("scv", [20.0, 100.0, 1000.0])
def test_the_mean_errs_by_no_more_than_said_where_services_vary_beyond_what_was_measured(slots, load, scv):
    """Beside the exact chain; no chance in it. At 20 slots, load 0.9 and scv 1000 the formula tells 4% of the mean."""
    service = sm.Hyperexponential(1.0, scv)
    case = BandCase(load * slots, slots, service)
    truth = 1.0 + solved(*_queue(case)).probability_of_wait * PhaseWait(*_queue(case)).mean()
    assert case.latency_low.mean() <= truth <= case.latency_high.mean()
    said = case.accuracy("latency", None)
    assert 1.0 - (case._mean_wait + 1.0) / truth <= said.error
    if said.error <= 0.4:
        assert abs(case.latency.mean() / truth - 1.0) <= said.error
    else:
        with pytest.raises(sm.NoClosedForm, match="several times"):
            _ = case.latency


def _queue(case):
    return case.arrival_rate, case.slots, case.service


def test_a_mean_that_is_refused_leaves_the_band():
    pool = sm.CentralQueue(18.0, 20, sm.LogNormal(1.0, 1000.0))
    assert pool.accuracy("latency").label == "band"
    assert pool.accuracy("in_flight").label == "simulated"
    assert pool.latency_low.icdf(0.99) < pool.latency_high.icdf(0.99)
