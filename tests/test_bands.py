"""`verify` of a band: either end may lie beyond the simulation on its own side only."""

from typing import ClassVar

import scaling_models as sm
from scaling_models.answers import Accuracy, answer


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
