"""Closed form beside simulation, with the error that the sample could have seen."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from scipy import special

from scaling_models.answers import Model, NoClosedForm
from scaling_models.latency import Distribution
from scaling_models.montecarlo.estimates import Estimate, Sampled
from scaling_models.wording import short

if TYPE_CHECKING:
    import pandas as pd

LEVELS = (0.5, 0.95, 0.99)
BELOW, ABOVE = "_low", "_high"  # endings of the answers between which another lies
POWER = 0.95  # with which the smallest error named would have been seen
FEW = 1000  # samples off the atom: of fewer the mean is no normal, and nothing is said of it
FEW_BEYOND = 20  # independent samples beyond a quantile: of fewer the count is no normal
COLUMNS = ["quantity", "closed_form", "simulated", "low", "high", "smallest_error", "unit", "accuracy", "verdict"]
FALSE_ALARM = 1e-6  # of one verification: all of its rows together


def verify(
    model: Model,
    requests: int | None = None,
    seed: int = 0,
    *,
    levels: Sequence[float] = LEVELS,
    false_alarm: float = FALSE_ALARM,
    violating: str | None = None,
) -> pd.DataFrame:
    """Every answer of the model by its closed form and by simulation, a row each.

    Columns: quantity, closed_form, simulated, low, high (95% interval), smallest_error (the relative error of the
    formula that this sample would have seen with probability 0.95), unit, accuracy, verdict ("agrees", "disagrees", or
    "unseen" where so few events were drawn that an error of the whole size might be missed). Quantiles, at `levels`
    (fractions), are tested by the share of samples beyond the closed form's quantile. A formula that is right disagrees
    in any row with probability `false_alarm` at most (Student's t, shared evenly among the rows); an approximation is
    allowed the error that its accuracy states (a bound with a `side` on that side only), and the ends of a band
    (`latency_low`, `latency_high`) need only lie on their side of the simulated quantiles. `requests` is the model's
    own choice (`verified_with`) unless given.
    With `violating`, one of `model.violations`, the simulation breaks that assumption: the verdict "missed" and the
    column `miss` (closed form over simulated, less 1: negative is optimistic) say what the formula does not see.
    Raises what `simulate` raises.
    """
    import pandas as pd

    if not isinstance(model, Model):
        raise ValueError(f"verify must be given a model, such as CentralQueue(); got {short(model)}")
    if not 0 < false_alarm < 1:
        raise ValueError(f"verify: false_alarm must lie in (0, 1); got {false_alarm!r}")
    simulation = model.simulate(model.verified_with if requests is None else requests, seed, violating=violating)
    pairs = list(_pairs(model, simulation))
    each = false_alarm / max(1, sum(_rows_of(answer, levels) for _, _, answer, _ in pairs))
    rows = [
        row for name, unit, answer, found in pairs for row in _compare(model, name, unit, answer, found, levels, each)
    ]
    table = pd.DataFrame(rows, columns=COLUMNS)
    table.attrs["model"] = repr(model)
    if violating is not None:
        table.attrs["violating"] = violating
        table["miss"] = table.closed_form / table.simulated - 1.0
        table["verdict"] = table.verdict.replace({"disagrees": "missed"})
    return table


def _pairs(model: Model, simulation: Any) -> Iterator[tuple[str, str, Any, Any]]:
    for name, declared in model.answers().items():
        whole = name.removesuffix(BELOW).removesuffix(ABOVE)
        if whole not in simulation.answers:
            continue
        try:
            closed = getattr(model, name)
        except NoClosedForm:
            continue
        yield name, declared.unit, closed, getattr(simulation, whole)


def _rows_of(closed: Any, levels: Sequence[float]) -> int:
    if isinstance(closed, Distribution):
        return 1 + len(levels)
    return len(closed) if isinstance(closed, tuple) else 1


def _compare(
    model: Model, name: str, unit: str, closed: Any, found: Any, levels: Sequence[float], false_alarm: float
) -> Iterator[dict[str, Any]]:
    if isinstance(found, Sampled):
        yield from _compare_latency(model, name, unit, closed, found, levels, false_alarm)
    elif isinstance(found, tuple):
        for position, (value, estimate) in enumerate(zip(closed, found, strict=True)):
            yield _row(model, f"{name}[{position}]", name, None, unit, value, estimate, false_alarm)
    else:
        yield _row(model, name, name, None, unit, float(closed), found, false_alarm)


def _compare_latency(
    model: Model,
    name: str,
    unit: str,
    closed: Distribution,
    found: Sampled,
    levels: Sequence[float],
    false_alarm: float,
) -> Iterator[dict[str, Any]]:
    is_end = name.endswith((BELOW, ABOVE))
    if not is_end and math.isfinite(closed.variance()):
        row = _row(model, f"{name} mean", name, None, unit, closed.mean(), found.mean_estimate(), false_alarm)
        if closed.variance() > 0 and found.off_the_atom() < min(FEW, found.size / 2):
            row |= {"smallest_error": math.inf, "verdict": "unseen"}
        yield row
    for level in levels if closed.spread_known else ():
        error = model.accuracy(name, level).error
        if error is None or ((is_end or error > 0) and closed.icdf(level) == 0):  # unusable, or another row's atom
            continue
        yield _quantile_row(model, name, unit, closed, found, level, false_alarm)


def _reach(freedom: int, false_alarm: float) -> float:
    return float(special.stdtrit(freedom, 1.0 - false_alarm / 2.0))


def _row(
    model: Model,
    quantity: str,
    metric: str,
    level: float | None,
    unit: str,
    closed: float,
    estimate: Estimate,
    false_alarm: float,
) -> dict[str, Any]:
    accuracy = model.accuracy(metric, level)
    reach = _reach(estimate.freedom, false_alarm)
    estimate = dataclasses.replace(estimate, error=_error(estimate, closed))
    # A bound may lie on its side as far as it likes, unless it says how far.
    any_far = bool(accuracy.side) and accuracy.error is None
    stated = math.inf if any_far else (accuracy.error or 0.0) * abs(closed)
    sure = reach * estimate.error + 1e-9 * abs(closed)
    allowed = sure + stated
    low, high = estimate.interval()
    seen = (reach + _reach(estimate.freedom, 2.0 * (1.0 - POWER))) * estimate.error + stated
    off = closed - estimate.value
    agrees = -(sure if accuracy.side == "above" else allowed) <= off <= (sure if accuracy.side == "below" else allowed)
    row = _told(quantity, unit, closed, (low, estimate.value, high), seen, accuracy.label, agrees)
    return row | {"verdict": "unseen"} if _too_rare(estimate, closed, false_alarm) else row


def _too_rare(estimate: Estimate, closed: float, false_alarm: float) -> bool:
    """Whether a share found as 0 or 1 in every batch might yet be the formula's.

    A number in [0, 1] of mean p is other than zero with probability p at most, so that all of b batches are zero with
    probability (1 - p)^b at least.
    """
    if estimate.error > 0 or estimate.value not in (0.0, 1.0) or not 0.0 < closed < 1.0:
        return False
    return (1.0 - abs(closed - estimate.value)) ** (estimate.freedom + 1) > false_alarm


def _error(estimate: Estimate, expected: float) -> float:
    """The standard error; of a share not less than the formula's own binomial one, for of a rare event few are seen."""
    if not estimate.trials:
        return estimate.error
    return max(estimate.error, math.sqrt(max(expected * (1.0 - expected), 0.0) / estimate.trials))


def _beyond(found: Sampled, error: float, level: float) -> float:
    """About how many independent samples lie beyond the quantile: correlated ones count for less."""
    inflation = max(1.0, error**2 * found.size / (level * (1.0 - level))) if 0.0 < level < 1.0 else 1.0
    return found.size * (1.0 - level) / inflation


def _told(
    quantity: str, unit: str, closed: float, found: tuple[float, float, float], seen: float, label: str, agrees: bool
) -> dict[str, Any]:
    """A row: of a quantity that an error of its whole size would not have moved, nothing has been seen."""
    smallest = seen / abs(closed) if closed else math.nan
    return {
        "quantity": quantity,
        "closed_form": closed,
        "simulated": found[1],
        "low": found[0],
        "high": found[2],
        "smallest_error": smallest,
        "unit": unit,
        "accuracy": label,
        "verdict": "disagrees" if not agrees else "unseen" if smallest > 1.0 else "agrees",
    }


def _quantile_row(
    model: Model,
    name: str,
    unit: str,
    closed: Distribution,
    found: Sampled,
    level: float,
    false_alarm: float,
) -> dict[str, Any]:
    accuracy = model.accuracy(name, level)
    error = accuracy.error or 0.0
    quantile = float(closed.icdf(level))
    freedom = len(found.sizes) - 1
    reach = _reach(freedom, false_alarm)
    # The formula's quantile may be off by its stated error either way: some t in that range must fit the samples.
    # The rounding of an atom's place must not count as a miss of its whole mass.
    slack = max(found.resolution, 1e-12)
    near, far = quantile * (1.0 - slack), quantile * (1.0 + slack)
    near *= 1.0 if accuracy.side == "below" else 1.0 - error
    far *= 1.0 if accuracy.side == "above" else 1.0 + error
    most, least = found.ccdf_estimate(near), found.ccdf_estimate(far)
    expected_most, expected_least = (float(closed.ccdf(quantile * turn)) for turn in (1 - 1e-12, 1 + 1e-12))
    least_error = found.share_error(level)  # long latencies come in clusters, of which few are seen
    errors = (max(_error(most, expected_least), least_error), max(_error(least, expected_most), least_error))
    too_high = most.value + reach * errors[0] < expected_least  # fewer lie beyond it than should
    too_low = least.value - reach * errors[1] > expected_most
    low, high = found.interval(level)
    # The quantile's standard error from its 95% interval, for far wider ones soon leave the sample.
    standard = (high - low) / (2.0 * _reach(freedom, 0.05))
    seen = (reach + _reach(freedom, 2.0 * (1.0 - POWER))) * standard + (error + found.resolution) * quantile
    interval = (low, float(found.icdf(level)), high)
    apart = (too_low and not name.endswith(BELOW)) or (too_high and not name.endswith(ABOVE))
    row = _told(f"{name} p{100 * level:g}", unit, quantile, interval, seen, accuracy.label, not apart)
    rare = quantile > 0 and closed.variance() > 0 and found.off_the_atom() < min(FEW, found.size / 2)
    return row | {"verdict": "unseen"} if rare or _beyond(found, errors[1], level) < FEW_BEYOND else row


def check(models: Iterable[Model], requests: int | None = None, seed: int = 0) -> bool:
    """Verify each of the models, print the tables, and tell whether all agree."""
    agreed = True
    for model in models:
        print(f"\n{model!r}")
        try:
            table = verify(model, requests=requests, seed=seed)
        except ValueError as refusal:  # not settled, or too few requests: the other models can still be checked
            print(f"NOT CHECKED: {refusal}")
            agreed = False
            continue
        print(table.to_string(index=False, float_format="{:.5g}".format))
        agreed &= not bool((table.verdict == "disagrees").any())
    said = "All closed forms agree with their simulations."
    print(f"\n{said if agreed else 'SOME CLOSED FORMS DISAGREE, OR WERE NOT CHECKED.'}")
    return agreed
