"""Orders of service by size in M/G/1: against the textbook integrals by scipy, a simulated one, limits, refusals."""

import heapq
import math

import numpy as np
import pytest
from scipy import integrate

import scaling_models as sm
from scaling_models.pools.formulas.size_based import Predictions, Sizes, psjf, pspjf, sjf, spjf, srpt

E = sm.Exponential


@pytest.mark.parametrize("rate", [0.5, 0.8, 0.9, 0.99])
def test_exponential_sizes_by_the_integrals_of_the_textbook(rate):
    """With f = e^{-x} the loads are elementary. At 0.9 SRPT is 3.5521, which has been printed as 3.642."""

    def load(x):
        return rate * (1 - math.exp(-x) * (1 + x))

    def second(x):
        return rate * (2 - math.exp(-x) * (x * x + 2 * x + 2))

    def mean(value):
        pieces = zip((0, 1, 10), (1, 10, 60), strict=True)
        return sum(integrate.quad(lambda x: math.exp(-x) * value(x), *piece, epsrel=1e-12)[0] for piece in pieces)

    def started(x):
        return second(x) + rate * x * x * math.exp(-x)

    service = E(1.0)
    assert sjf(rate, service) == pytest.approx(1 + rate * mean(lambda x: (1 - load(x)) ** -2), rel=1e-7)
    expected = mean(lambda x: x / (1 - load(x)) + second(x) / 2 / (1 - load(x)) ** 2)
    assert psjf(rate, service) == pytest.approx(expected, rel=1e-7)
    expected = mean(lambda x: 1 / (1 - load(x)) + started(x) / 2 / (1 - load(x)) ** 2)
    assert srpt(rate, service) == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize(
    "service", [E(0.01), sm.LogNormal(0.01, 4.0), sm.Uniform(0.005, 0.015), sm.Erlang(0.01, 4), sm.Hyperexponential()]
)
def test_nothing_beats_srpt_and_knowing_helps(service):
    rate = 0.8 / service.mean()
    fifo = service.mean() + rate * (service.variance() + service.mean() ** 2) / 2 / 0.2
    assert srpt(rate, service) < min(psjf(rate, service), sjf(rate, service)) < fifo
    assert sjf(rate, service) < spjf(rate, service)
    assert psjf(rate, service) < pspjf(rate, service)
    sizes = Sizes(rate, service)
    assert sizes.mean(np.ones(len(sizes.size))) == pytest.approx(1.0, abs=1e-7)
    assert sizes.load[-1] == pytest.approx(0.8, rel=1e-6)
    for share in (1e-6, 0.5):
        light = share / service.mean()
        for formula in (sjf, psjf, srpt, spjf, pspjf):
            assert formula(light * 1e-6, service) == pytest.approx(service.mean(), rel=2e-6)


def test_predictions_add_up():
    predicted = Predictions(0.9, E(1.0))
    assert predicted.share.sum() == pytest.approx(1.0, abs=1e-9)
    assert predicted.sizes.sum() == pytest.approx(1.0, abs=1e-9)
    assert predicted.load[-1] == pytest.approx(0.9, rel=1e-6)


def test_shortest_first_by_events():
    """300,000 requests of M/M/1 under SJF at load 0.7, by hand; thirty batches see 6% at 1e-6 of false alarms."""
    rng = np.random.default_rng(11)
    arrivals = np.cumsum(rng.exponential(1 / 0.7, 300_000))
    services = rng.exponential(1.0, len(arrivals))
    responses, waiting, now, coming = np.empty(len(arrivals)), [], 0.0, 0
    for _ in range(len(arrivals)):
        if not waiting:
            now = max(now, arrivals[coming])
        while coming < len(arrivals) and arrivals[coming] <= now:
            heapq.heappush(waiting, (services[coming], coming))
            coming += 1
        size, who = heapq.heappop(waiting)
        now += size
        responses[who] = now - arrivals[who]
    batches = responses.reshape(30, -1).mean(axis=1)
    error = batches.std(ddof=1) / math.sqrt(30)
    assert 6.1 * error < 0.1 * batches.mean()
    assert batches.mean() == pytest.approx(sjf(0.7, E(1.0)), abs=6.1 * error)


def test_mistakes_are_told_in_a_sentence():
    with pytest.raises(ValueError, match=r"arrival_rate x mean service must lie in \(0, 1\); got 1.0"):
        sjf(1.0, E(1.0))
    with pytest.raises(ValueError, match="must have a density"):
        srpt(0.5, sm.Deterministic(1.0))
