"""Steady states of simulated systems for tests: blocks run from a seed, ratios compared over independent lanes."""

import numpy as np
from scipy import special

from scaling_models.montecarlo.estimates import from_batches, student
from scaling_models.montecarlo.streams import streams_of

FALSE_ALARM = 1e-8  # of one comparison: with a hundred of them in the suite, 1e-6


def streams(seed, block=0):
    """The generators of one block, by purpose."""
    return streams_of(seed, block)


def run(system, steps, *, lanes=512, warm_up, backlog=0.0, seed=1, block=500):
    """Per-lane sums after a warm-up: tallies, and for every time its `sum` and `count` as (name, what)."""
    state = system.start(np.full(lanes, backlog), streams(seed, -1 % 2**32))
    sums = {}
    for number in range((warm_up + steps) // block):
        outcomes, state = system.advance(state, streams(seed, number), block)
        if number * block < warm_up:
            continue
        found = dict(outcomes.tallies)
        for name, values in outcomes.times.items():
            found[name, "sum"] = np.nansum(values, axis=0)
            found[name, "count"] = np.isfinite(values).sum(axis=0)
        for name, value in found.items():
            sums[name] = sums.get(name, 0.0) + value
    return sums


def ratio(above, below):
    """The ratio of two per-lane sums and its standard error over the independent lanes (delta method)."""
    value = above.sum() / below.sum()
    return value, (above - value * below).std(ddof=1) / below.mean() / np.sqrt(len(below))


def mean(sums, name):
    """The mean of a time with its standard error."""
    return ratio(sums[name, "sum"], sums[name, "count"])


def assert_agrees(found, exact, lanes=512, sees=0.03):
    """A found (value, error) is the exact value but for chance, and `sees` relative error would have failed."""
    value, error = found
    allowed = special.stdtrit(lanes - 1, 1 - FALSE_ALARM / 2) * error
    assert allowed < sees * abs(exact), f"cannot see {sees:.0%}: allowed {allowed:.3g} on {exact:.4g}"
    assert abs(value - exact) <= allowed, f"{value:.5g} is not {exact:.5g} within {allowed:.2g}"


def assert_mean(values, exact, seen=0.03, low=0.0, high=0.0):
    """Lanes' mean is `exact` but for chance (or `exact` x [1 + low, 1 + high]), and an error of `seen` would show.

    A false alarm in 1e7 comparisons.
    """
    found = from_batches(values)
    allowed = student(1.0 - 10.0 * FALSE_ALARM, found.freedom) * found.error
    assert exact * (1.0 + low) - allowed <= found.value <= exact * (1.0 + high) + allowed, (found.value, exact, allowed)
    assert allowed < seen * exact / 2.0
