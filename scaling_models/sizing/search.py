"""The least servers that hold a target: an exact search, and the sentence that tells it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import numpy as np

from scaling_models import units
from scaling_models.answers import EXACT, Accuracy, Model, NoClosedForm
from scaling_models.domains import Integer
from scaling_models.pools.formulas.sizing import Array
from scaling_models.sizing.records import Reserve, Sizing, value_of
from scaling_models.sizing.targets import Target, targets

FAR = 4096  # times what the load needs, or the servers of now: where a search gives up


@runtime_checkable
class Sized(Protocol):
    """A model with a vector path: the least servers at several arrival rates at once."""

    def servers_holding(self, arrival_rates: Array, latency: float, level: float) -> Array:
        """The least servers that hold a quantile of the latency; `inf` for none."""


def servers_for(
    model: Model, *, level: float | None = None, zones: int = 1, failures: int = 0, peak: float = 1.0, **target: float
) -> Sizing:
    """The least number of servers of a model whose answer is at most a target; exact.

    A target is `p99=0.1`, `p99_9=0.2` or `mean=0.05` (s) of the headline, or any answer by name: `utilization=0.7`,
    `probability_of_wait=0.05`, `wait=0.01, level=0.99`. Of several targets all are met, and the binding one is told.
    With `zones` it holds when the fullest of them is lost, the servers spread as evenly as can be (one: no loss is
    planned for); with `failures` when so many more are down at the same time; at `peak` times the arrival rate. The
    servers of the given model do not count.

    Answers must not grow with servers. Where the model has no closed form that can be trusted, raises `NoClosedForm`:
    nothing is simulated. Where only fewer servers have none (a band, of which no percentile is told), the answer is
    the least that is known to do, and the sentence says that fewer may. Where no number will do, the answer is `inf`,
    and the sentence says why.
    """
    most_servers(model)
    reserve, goals = Reserve(zones, failures, peak), targets(model, target, level)
    busy = reserve.at_peak(model)
    found = [(needed(busy, goal), goal) for goal in goals]
    least, goal = max(found, key=lambda each: each[0])
    return _none(busy, goal) if math.isinf(least) else _sizing(busy, goal, int(least), reserve)


def needed(model: Model, target: Target, start: int | None = None) -> float:
    """The least servers that meet a target, `inf` for none; `start` is a guess to begin at."""
    high = most_servers(model)
    if unreachable(model, target):
        return math.inf
    if start is None:
        guess = at_once(model, target, np.array([value_of(model, "arrival_rate")]))
        start = int(guess[0]) if guess is not None and np.isfinite(guess[0]) else _first(model)
    first = min(high, max(start, _first(model)))
    refusals: list[NoClosedForm] = []

    def met(servers: int) -> bool:
        if not _legal(model, servers):  # so few
            return False
        try:
            return target.met(model.replace(servers=servers))
        except NoClosedForm as refusal:  # unknown: not known to be met
            refusals.append(refusal)
            return False

    least = _least(met, first, min(high, FAR * first))
    if least is None and refusals:
        raise NoClosedForm(f"servers_for {target.name}: {refusals[-1]}")
    return math.inf if least is None else least


def at_once(model: Model, target: Target, rates: Array) -> Array | None:
    """The least servers at all of several arrival rates, by the model's vector path; None where there is none."""
    if not isinstance(model, Sized) or target.answer != "latency" or target.level is None:
        return None
    try:
        return model.servers_holding(rates, target.bound, target.level)
    except NoClosedForm:  # by this path
        return None


def _least(met: Callable[[int], bool], first: int, high: int) -> int | None:
    """The least n in [1, high] with met(n), searched in doubling steps from `first` on, then by bisection."""
    step = 1
    if met(first):
        low, good = first - 1, first
        while low > 0 and met(low):
            low, good, step = max(0, low - 2 * step), low, 2 * step
    else:
        low, good = first, min(high, first + 1)
        while not met(good):
            if good >= high:
                return None
            low, good, step = good, min(high, good + 2 * step), 2 * step
    while good - low > 1:
        middle = (low + good) // 2
        low, good = (low, middle) if met(middle) else (middle, good)
    return good


def _first(model: Model) -> int:
    """Where a search begins: where the load would fit, or the servers of now."""
    load = float(getattr(model, "offered_load", math.inf))  # an answer, which not all models have
    if math.isinf(load):
        return int(value_of(model, "servers"))
    return int(load / model.values().get("workers", 1)) + 1


def most_servers(model: Model) -> int:
    """The most servers that the model may have."""
    value_of(model, "servers")
    domain = model.parameters()["servers"].domain
    if not isinstance(domain, Integer):
        raise ValueError(f"sizing needs a number of servers; {type(model).__name__}.servers is {domain}")
    return domain.high


def unreachable(model: Model, target: Target) -> bool:
    """Whether even a request that is alone takes too long: each more beside it can only make it longer."""
    alone = getattr(model, "unloaded_latency", None)
    return alone is not None and target.answer == "latency" and target.excess_of(alone) >= -1e-12


def _none(model: Model, target: Target) -> Sizing:
    wanted = f"No number of servers brings {target.name} to {target.human(target.bound)}"
    inf = math.inf
    if not unreachable(model, target):
        says = f"{wanted}: none was found up to the most that were tried"
        return Sizing(inf, inf, math.nan, math.nan, model, model.accuracy(target.answer, target.level), says)
    alone = target.of(getattr(model, "unloaded_latency"))  # noqa: B009  # it is there: the limit was tested against it
    says = f"{wanted}: of a request that is alone it is {target.human(alone)} already, its service"
    return Sizing(inf, inf, alone, alone, model, EXACT, says)


def _sizing(model: Model, target: Target, least: int, reserve: Reserve) -> Sizing:
    enough = model.replace(servers=least)
    achieved, fewer = target.value(enough), _one_fewer(model, target, least - 1)
    provided = reserve.provided(least)
    accuracy = enough.accuracy(target.answer, target.level)
    if provided > most_servers(model):
        says = (
            f"No legal number of servers is enough after the loss of {reserve.loss}: {least:,} must be up, for which "
            f"{int(provided):,} have to be provided, and {type(model).__name__} has {most_servers(model):,} at most"
        )
        return Sizing(math.inf, least, achieved, fewer, enough, accuracy, says)
    says = _says(model, target, (int(provided), least), (achieved, fewer), reserve) + _roughly(accuracy)
    return Sizing(int(provided), least, achieved, fewer, model.replace(servers=int(provided)), accuracy, says)


def _roughly(accuracy: Accuracy) -> str:
    """How far that can be trusted, where it is not exact."""
    if accuracy.label == "exact":
        return ""
    known = accuracy.label.startswith("within") or accuracy.error is None
    error = "" if known else f", {100.0 * (accuracy.error or 0.0):.2g}% at most"
    return f" (the formula is no more than an approximation: {accuracy.label}{error})"


def _one_fewer(model: Model, target: Target, servers: int) -> float:
    if not _legal(model, servers):
        return math.inf
    try:
        return target.value(model.replace(servers=servers))
    except NoClosedForm:
        return math.nan


def _legal(model: Model, servers: int) -> bool:
    """Whether the model may have so few: not fewer than requests are sent to at once, say."""
    try:
        model.replace(servers=servers)
    except ValueError:
        return False
    return True


def _says(model: Model, target: Target, servers: tuple[int, int], values: tuple[float, float], reserve: Reserve) -> str:
    provided, least = servers
    lost = f", of which {least:,} are left after the loss of {reserve.loss}" if reserve.loss else ""
    peak = f" at the peak of {units.human(value_of(model, 'arrival_rate'), 'requests/s')}" if reserve.peak > 1 else ""
    there = f"{target.name} is {target.human(values[0])}{peak}, at most {target.human(target.bound)} is wanted"
    fewer = _fewer(target, least - 1, values[1]) if _legal(model, least - 1) else ""
    return f"{provided:,} server{'s' if provided > 1 else ''}{lost}: {there}{fewer}"


def _fewer(target: Target, servers: int, value: float) -> str:
    if math.isnan(value):
        return f"; with {servers:,} it is not known: fewer may do, simulate it"
    if math.isinf(value):
        return f"; with {servers:,} there is no steady state"
    said = target.human(value)
    return f"; with {servers:,} it is {'a little more' if said == target.human(target.bound) else said}"
