"""Models beside each other on common random numbers: differences known far better than either side."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from scaling_models.answers import Model, Simulation
from scaling_models.montecarlo.arrays import Array
from scaling_models.montecarlo.estimates import Estimate, Sampled, from_batches
from scaling_models.wording import short

if TYPE_CHECKING:
    import pandas as pd

NEAR = 0.2  # of the share beyond a quantile, or below it if that is less, within which its density is read off


def together(models: Sequence[Model], requests: int, seed: int) -> list[Simulation]:
    """The models simulated with the same seed and the same plan, so that the same requests come at the same times."""
    found = [model.simulate(requests=requests, seed=seed) for model in models]
    cuts = {each.cut for each in found if each.cut is not None}
    if len(cuts) < 2:
        return found
    longest = max(cuts, key=lambda cut: cut.steps)  # the fewest lanes, each run for the longest
    return [
        each if each.cut in (None, longest) else model.simulate(requests=requests, seed=seed, cut=longest)  # type: ignore[call-arg]  # who has a cut takes one
        for model, each in zip(models, found, strict=True)
    ]


def labels(models: Sequence[Model]) -> list[str]:
    """What tells the models apart: their classes, where these differ, and those parameters that do."""
    seen: dict[str, list[Any]] = {}
    for model in models:
        for name, value in model.values().items():
            seen.setdefault(name, []).append(value)
    differ = {name for name, values in seen.items() if any(value != values[0] for value in values[1:])}
    alike = len({type(model) for model in models}) == 1
    said = [_label(model, differ, alike) for model in models]
    if len(set(said)) == len(set(models)):
        return said
    return [f"{label} #{place}" for place, label in enumerate(said, start=1)]  # alike as far as a label goes


def _label(model: Model, differ: set[str], alike: bool) -> str:
    name = type(model).__name__
    said = ", ".join(f"{key}={short(value, 60)}" for key, value in model.values().items() if key in differ)
    return said if said and alike else f"{name}({said})" if said else name


def compared(models: Sequence[Model], requests: int, seed: int, levels: Sequence[float]) -> pd.DataFrame:
    """A row for each quantity of each model's headline: what it is, and how it differs from the first model's.

    Columns: quantity (mean, p50, ...), simulated, difference, its difference_low and difference_high, low, high (95%
    interval of the simulated), narrower, unit, answer, model (see `labels`; `attrs["models"]` are the reprs). With
    common random numbers the difference is known better than its sides: `narrower` says how many times.
    """
    import pandas as pd

    found = together(models, requests, seed)
    _check(found)
    rows = [
        row
        for model, label, simulation in zip(models, labels(models), found, strict=True)
        for row in _rows(model, label, simulation, found[0], levels)
    ]
    table = pd.DataFrame(rows)
    table.attrs["models"] = [repr(model) for model in models]
    return table


def _check(found: Sequence[Simulation]) -> None:
    """Raise `ValueError` for what cannot be set beside each other: numbers and distributions, or other batches."""
    headlines = [getattr(each, each.model.headline) for each in found]
    spread = [each for each in headlines if isinstance(each, Sampled)]
    if spread and len(spread) < len(found):
        said = ", ".join(f"{each.model.headline} of {type(each.model).__name__}" for each in found)
        raise ValueError(
            "compare with requests must be given models whose headlines are all distributions, or all numbers; "
            f"got {said}"
        )
    if len({len(each.sizes) for each in spread}) > 1:
        raise ValueError(
            "compare with requests is for models that the same requests can go through; "
            f"{', '.join(type(each.model).__name__ for each in found)} are simulated in other ways: simulate each, or "
            "compare their closed forms"
        )


def _rows(
    model: Model, label: str, simulation: Simulation, first: Simulation, levels: Sequence[float]
) -> Iterator[dict[str, Any]]:
    name, reference = model.headline, getattr(first, first.model.headline)
    sampled = getattr(simulation, name)
    said = {"unit": model.answers()[name].unit, "answer": name, "model": label}
    if isinstance(sampled, Estimate):
        yield {"quantity": "mean", **_numbers(sampled, reference, simulation is first), **said}
        return
    for quantity, level in (("mean", None), *((f"p{level:g}", level / 100.0) for level in levels)):
        mine, its = _pseudo_values(sampled, level), _pseudo_values(reference, level)
        low, high = sampled.mean_interval() if level is None else sampled.interval(level)
        value = float(sampled.mean() if level is None else sampled.icdf(level))
        between = from_batches(mine - its, sampled.controls)
        apart = math.hypot(from_batches(mine, sampled.controls).error, from_batches(its, reference.controls).error)
        yield {
            "quantity": quantity,
            "simulated": value,
            "difference": between.value,
            "difference_low": between.interval()[0],
            "difference_high": between.interval()[1],
            "low": low,
            "high": high,
            "narrower": apart / between.error if between.error > 0 else math.nan,
            **said,
        }


def _numbers(found: Estimate, reference: Estimate, same: bool) -> dict[str, float]:
    """Of headlines that are numbers, whose batches are not kept: the difference is taken for that of independent ones.

    (Common random numbers only make it better known.)
    """
    low, high = found.interval()
    error = 0.0 if same else math.hypot(found.error, reference.error)
    between = Estimate(found.value - reference.value, error, min(found.freedom, reference.freedom))
    ends = dict(zip(("difference_low", "difference_high"), between.interval(), strict=True))
    values = {"simulated": found.value, "difference": between.value, **ends, "low": low, "high": high}
    return values | {"narrower": math.nan if same else 1.0}


def _pseudo_values(sampled: Sampled, level: float | None) -> Array:
    """Batch values whose mean is the estimate and whose spread is its error: of a quantile, by its influence function.

    A batch with a share s of samples beyond the quantile t of level q moves it by (s - (1 - q)) / f(t), the density f
    being read off the quantiles nearby.
    """
    if level is None:
        return sampled.means
    spread = NEAR * min(level, 1.0 - level)
    t, near, far = (float(sampled.icdf(each)) for each in (level, level - spread, level + spread))
    slope = (far - near) / (2.0 * spread)
    shares = sampled.beyond(t) / sampled.sizes
    return np.asarray(t + (shares - sampled.controls.weights @ shares) * slope)
