"""The most load that given servers carry while they hold a target."""

from __future__ import annotations

import math

from scipy.optimize import brentq

from scaling_models import units
from scaling_models.answers import Model, NoClosedForm
from scaling_models.pools.formulas.sizing import ROUNDING
from scaling_models.sizing.records import Capacity, Reserve, value_of
from scaling_models.sizing.search import most_servers, unreachable
from scaling_models.sizing.targets import Target, targets

DOUBLINGS = 60  # of a load: where a search gives up


def most_load(
    model: Model, *, level: float | None = None, zones: int = 1, failures: int = 0, peak: float = 1.0, **target: float
) -> Capacity:
    """The highest arrival rate at which a model with the servers that it has meets a target; see `servers_for`.

    With `zones` and `failures` with those that are left; with `peak` the day's mean, the target met at its highest. The
    arrival rate of the given model does not count. Answers must not shrink with the load. Exact to about 1e-9.
    """
    most_servers(model)
    reserve, goals = Reserve(zones, failures, peak), targets(model, target, level)
    left = reserve.left(value_of(model, "servers"))
    if left < 1:
        raise ValueError(
            f"most_load: of {value_of(model, 'servers')} servers none is left after the loss of {reserve.loss}"
        )
    remaining = model.replace(servers=int(left))
    rate, goal = min(((_highest(remaining, goal), goal) for goal in goals), key=lambda each: each[0])
    return _capacity(remaining, goal, rate, reserve)


def _highest(model: Model, target: Target) -> float:
    """The root of the excess in the arrival rate, between a rate that meets the target and one that does not."""
    if unreachable(model, target):
        return 0.0
    refusals: list[NoClosedForm] = []

    def excess(rate: float) -> float:
        try:
            return target.excess(model.replace(arrival_rate=rate))
        except NoClosedForm as refusal:  # unknown: not known to be met
            refusals.append(refusal)
            return 1.0

    low = high = float(value_of(model, "arrival_rate"))
    for _ in range(DOUBLINGS):
        if excess(low) <= 0:
            break
        low, high = low / 2.0, low
    else:
        if refusals:
            raise NoClosedForm(f"most_load {target.name}: {refusals[-1]}")
        return 0.0
    for _ in range(DOUBLINGS):
        if excess(high) > 0:
            found = float(brentq(excess, low, high, xtol=1e-12 * high, rtol=1e-12))
            return found if excess(found) <= ROUNDING else found * (1.0 - ROUNDING)  # a jump ends on either side of it
        low, high = high, 2.0 * high
    return math.inf


def _capacity(model: Model, target: Target, rate: float, reserve: Reserve) -> Capacity:
    accuracy, mean = model.accuracy(target.answer, target.level), rate / reserve.peak
    wanted = f"{target.name} at {target.human(target.bound)} or less"
    who = _who(model, reserve)
    if rate == 0:
        return Capacity(0.0, math.nan, accuracy, f"{who} cannot hold {wanted} at any load")
    if math.isinf(rate):
        return Capacity(math.inf, math.nan, accuracy, f"{who} hold {wanted} at any load")
    at_most = model.replace(arrival_rate=rate)
    peak = f" on the mean, {units.human(rate, 'requests/s')} at the peak" if reserve.peak > 1 else ""
    says = f"{who} hold {wanted} up to {units.human(mean, 'requests/s')}{peak}"
    return Capacity(mean, target.value(at_most), at_most.accuracy(target.answer, target.level), says)


def _who(model: Model, reserve: Reserve) -> str:
    left = value_of(model, "servers")
    lost = f" that are left after the loss of {reserve.loss}" if reserve.loss else ""
    return f"{left:,} server{'s' if left > 1 else ''}{lost}"
