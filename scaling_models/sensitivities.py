"""What a little more of each input does to a model's answer."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from scaling_models import units
from scaling_models.answers import Model
from scaling_models.domains import Integer, Real
from scaling_models.inputs import Input, find, inputs, replaced
from scaling_models.sweeps import closed, columns, is_distribution, quantiles


@dataclasses.dataclass(frozen=True)
class Sensitivity:
    """What changing one input does: the relative `change` of the input, the relative `effect` on the answer.

    `effect` is `inf` where there is no steady state any more and NaN where there is no answer; `does` says it in words,
    and `says` tells it all.
    """

    path: str
    label: str
    change: float
    effect: float
    says: str
    does: str = ""


def sensitivities(model: Model, change: float = 0.10) -> list[Sensitivity]:
    """What `change` more of each number among the inputs does to the headline: its p99, else its mean, else itself.

    Whole numbers change by at least one. A change that is illegal, or that takes the steady state away, is told.
    """
    found = [each for each in inputs(model) if isinstance(each.domain, Real | Integer) and each.value]
    tried = [_changed(model, each, change) for each in found]
    measure, (before, *values) = _measured([model, *(each for each in tried if isinstance(each, Model))])
    after = iter(values)
    return [
        _refused(each, got, change) if isinstance(got, str) else _moved(each, got, measure, before, next(after))
        for each, got in zip(found, tried, strict=True)
    ]


def _more(each: Input, change: float) -> Any:
    more = each.value * (1.0 + change)
    if not isinstance(each.domain, Integer):
        return more
    return max(each.value + 1, round(more)) if change > 0 else min(each.value - 1, round(more))


def _changed(model: Model, each: Input, change: float) -> Model | str:
    try:
        return replaced(model, each.path, _more(each, change))
    except ValueError as refusal:
        return str(refusal)


def _measured(models: Sequence[Model]) -> tuple[str, list[float]]:
    """The name of what is measured, and its value for each model: one measure for all of them."""
    headline = models[0].headline
    if not is_distribution(type(models[0]), headline):
        name, column = next(iter(columns(models, headline).items()))
        return units.words(name), column.tolist()
    found = [closed(model, headline) for model in models]
    p99 = quantiles(found, np.array([0.99]))[:, 0]
    if not np.isnan(p99[0]):
        return "p99", p99.tolist()
    return "mean", [math.nan if each is None else each.mean() for each in found]


def _refused(each: Input, refusal: str, change: float) -> Sensitivity:
    says = f"{each.label} {change:+.0%}: not possible, {refusal}"
    return Sensitivity(each.path, each.label, math.nan, math.nan, says)


def _moved(each: Input, got: Model, measure: str, before: float, after: float) -> Sensitivity:
    value = find(got, each.path).value
    change = value / each.value - 1.0
    effect = after / before - 1.0 if math.isfinite(before) and before else math.nan
    told = _effect(measure, before, after, got)
    shown = f"to {value:,}" if isinstance(each.domain, Integer) else f"{change:+.0%}"
    return Sensitivity(each.path, each.label, change, effect, f"{each.label} {shown}: {told}", told)


def _effect(measure: str, before: float, after: float, model: Model) -> str:
    unit = model.answers()[model.headline].unit
    if math.isnan(before) or math.isnan(after) or before == 0:
        return f"{measure} not known"
    number = not is_distribution(type(model), model.headline)  # infinitely many servers are not a queue that grows
    if math.isinf(after):
        lacking = f"no number of {unit} will do" if number else f"no {model.bounded}"
        return f"{'still' if math.isinf(before) else 'then'} {lacking}"
    if math.isinf(before):
        article = "an" if model.bounded[0] in "aeiou" else "a"
        return f"then {'' if number else f'{article} {model.bounded}, {measure} '}{units.human(after, unit)}"
    effect = after / before - 1.0
    return f"{measure} unchanged" if abs(effect) < 5e-3 else f"{measure} {effect:+.0%}".replace("-", "−")
