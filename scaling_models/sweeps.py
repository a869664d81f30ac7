"""Models beside each other: one parameter swept, or several models compared."""

from __future__ import annotations

import itertools
import math
import typing
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from scaling_models.answers import Model, NoClosedForm
from scaling_models.inputs import replaced
from scaling_models.latency import Distribution
from scaling_models.montecarlo.comparison import compared, labels
from scaling_models.montecarlo.estimates import NotSettled, Sampled
from scaling_models.montecarlo.workers import in_order
from scaling_models.wording import per_cent, short

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
LEVELS = (50.0, 95.0, 99.0)


def is_distribution(kind: type[Model], answer: str) -> bool:
    """Whether an answer is declared as a distribution; a model without a closed form says so, too."""
    said = typing.get_type_hints(known_answer(kind, answer).compute).get("return")
    return isinstance(said, type) and issubclass(said, Distribution)


def known_answer(kind: type[Model], name: str) -> Any:
    """The declaration of an answer, or a `ValueError` that lists those there are."""
    if name not in kind.answers():
        raise ValueError(f"{kind.__name__} has no answer {name!r}; it has {', '.join(kind.answers())}")
    return kind.answers()[name]


def closed(model: Model, answer: str) -> Any:
    """The answer, or None where it has no closed form; a `ValueError` where there is no such answer."""
    known_answer(type(model), answer)
    try:
        return getattr(model, answer)
    except NoClosedForm:
        return None


def unstable(found: Any) -> bool:
    """Whether an answer says that there is no steady state: all mass at infinity, or an infinite number."""
    if found is None:
        return False
    return bool(found.lost >= 1.0 if isinstance(found, Distribution) else np.isinf(found).all())


def columns(models: Sequence[Model], answer: str, levels: Sequence[float] = LEVELS) -> dict[str, Array]:
    """Mean and quantiles of a distribution, or the scalar: an array over the models, NaN without a closed form."""
    found = [closed(model, answer) for model in models]
    if models and is_distribution(type(models[0]), answer):
        means = [math.nan if each is None else each.mean() for each in found]
        table = quantiles(found, np.asarray(levels, dtype=float) / 100.0)
        return {"mean": np.array(means), **{f"p{level:g}": table[:, at] for at, level in enumerate(levels)}}
    width = max((np.size(each) for each in found if each is not None), default=1)
    table = np.full((len(found), width), math.nan)
    for row, each in zip(table, found, strict=True):
        row[: np.size(each)] = np.ravel(math.nan if each is None else each)
    return {name: table[:, at] for at, name in enumerate(_items(answer, width))}


def _items(answer: str, width: int) -> list[str]:
    """The columns of an answer: one of a number, one for each item of several."""
    return [answer] if width == 1 else [f"{answer}[{at}]" for at in range(width)]


def quantiles(latencies: Sequence[Distribution | None], q: Array) -> Array:
    """Quantiles (latencies, levels), each kind by its own vector path; NaN where they cannot be told."""
    table = np.full((len(latencies), len(q)), math.nan)
    kinds = {type(each) for each in latencies if each is not None}
    for kind in kinds:
        places = [at for at, each in enumerate(latencies) if type(each) is kind]
        table[places] = _quantiles(kind, [each for each in latencies if type(each) is kind], q)
    return table


def _quantiles(kind: Any, latencies: Sequence[Any], q: Array) -> Array:
    try:
        return np.asarray(kind.icdf_of(latencies, q))
    except NoClosedForm:
        if len(latencies) == 1:
            return np.array([[_quantile(latencies[0], level) for level in q]])
        return np.concatenate([_quantiles(kind, [each], q) for each in latencies])


def _quantile(latency: Distribution, level: float) -> float:
    try:
        return float(latency.icdf(level))
    except NoClosedForm:
        return math.nan


def sweep(
    model: Model,
    parameter: str | Mapping[str, Iterable[Any]],
    values: Iterable[Any] | None = None,
    *,
    answer: str | None = None,
    levels: Sequence[float] = LEVELS,
    requests: int | None = None,
    seed: int = 0,
    executor: Executor | None = None,
) -> pd.DataFrame:
    """One row for each value of one parameter, or for each point of a grid `{parameter: values, ...}`.

    A parameter's path may be nested (`service.mean`, `follower_rtts[0].value`). Columns: the parameters; then mean,
    p50, p95, p99 (or other `levels`, in per cent) of a distribution, or the answer's own name. The answer is the
    model's headline unless named. Without a steady state it is `inf`, without a closed form NaN; an illegal value
    raises ValueError. With `requests` every point is simulated, by the workers of any `executor` of
    concurrent.futures: each column comes with its 95% interval (`p99_low`, `p99_high`), and `NotSettled` makes a row
    NaN.
    """
    import pandas as pd

    if not isinstance(model, Model):
        raise ValueError(f"sweep must be given a model; got {short(model)}")
    grid = _grid(model, {parameter: values} if isinstance(parameter, str) else parameter)
    points = list(itertools.product(*grid.values()))
    models = [_at(model, dict(zip(grid, point, strict=True))) for point in points]
    placed = {name: [point[at] for point in points] for at, name in enumerate(grid)}
    name = answer or model.headline
    per_cent("sweep", levels)
    if requests is None:
        return pd.DataFrame({**placed, **columns(models, name, levels)})
    known_answer(type(model), name)
    jobs = [(each, name, tuple(levels), requests, seed) for each in models]
    return pd.DataFrame(
        [
            {**{key: column[at] for key, column in placed.items()}, **row}
            for at, row in enumerate(in_order(executor, simulated_row, jobs))
        ]
    )


def _grid(model: Model, given: Mapping[str, Iterable[Any] | None]) -> dict[str, list[Any]]:
    grid = {}
    for name, values in given.items():
        if values is None or isinstance(values, str) or not hasattr(values, "__iter__"):
            raise ValueError(f"sweep must be given a list of values for {name}; got {short(values)}")
        grid[name] = list(values)
        if not grid[name]:
            raise ValueError(f"sweep must be given one value of {name} at least; got none")
    return grid


def _at(model: Model, point: Mapping[str, Any]) -> Model:
    for name, value in point.items():
        model = replaced(model, name, value)
    return model


def simulated_row(model: Model, answer: str, levels: tuple[float, ...], requests: int, seed: int) -> dict[str, float]:
    """An answer as simulated, with its 95% interval; `inf` without a steady state, NaN where it did not settle."""
    known = closed(model, answer)
    spread = is_distribution(type(model), answer)
    names = ["mean", *(f"p{level:g}" for level in levels)] if spread else _items(answer, np.size(known))
    if unstable(known):
        return {f"{name}{end}": math.inf for name in names for end in ("", "_low", "_high")}
    try:
        found = getattr(model.simulate(requests, seed), answer)
    except NotSettled:
        return {f"{name}{end}": math.nan for name in names for end in ("", "_low", "_high")}
    if not isinstance(found, Sampled):
        each = found if isinstance(found, tuple) else (found,)
        rows = [
            _with_ends(name, float(item), item.interval())
            for name, item in zip(_items(answer, len(each)), each, strict=True)
        ]
        return {name: value for row in rows for name, value in row.items()}
    row = _with_ends("mean", found.mean(), found.mean_interval())
    for level, name in zip(levels, names[1:], strict=True):
        row |= _with_ends(name, float(found.icdf(level / 100.0)), found.interval(level / 100.0))
    return row


def _with_ends(name: str, value: float, ends: tuple[float, float]) -> dict[str, float]:
    return {name: value, f"{name}_low": ends[0], f"{name}_high": ends[1]}


def compare(
    models: Iterable[Model], requests: int | None = None, seed: int = 0, *, levels: Sequence[float] = LEVELS
) -> pd.DataFrame:
    """One row a model: the mean and percentiles of its headline answer, their unit, the answer's name, the model.

    The column `model` says what tells it from the others; `attrs["models"]` are the reprs, to be pasted. A headline
    that is a plain number stands in the column `mean`, and its percentiles are NaN. With `requests` the models are
    simulated instead, on the same requests, and there is a row for each quantity with its interval, and the interval of
    its difference from the first model's: see `montecarlo.comparison.compared`.
    """
    import pandas as pd

    if isinstance(models, Model | type):
        raise ValueError(f"compare must be given a list of models; got {short(models)}")
    each = list(models)
    if not each:
        raise ValueError("compare must be given one model at least; got none")
    per_cent("compare", levels)
    if requests is not None:
        return compared(each, requests, seed, levels)
    table = pd.DataFrame([_compared(*named, levels) for named in zip(each, labels(each), strict=True)])
    table.attrs["models"] = [repr(model) for model in each]
    return table


def _compared(model: Model, label: str, levels: Sequence[float]) -> dict[str, Any]:
    found = {name: float(column[0]) for name, column in columns([model], model.headline, levels).items()}
    named = {name: found.get(name, math.nan) for name in [f"p{level:g}" for level in levels]}
    return {
        "mean": found.get("mean", found.get(model.headline, math.nan)),
        **named,
        "unit": model.answers()[model.headline].unit,
        "answer": model.headline,
        "model": label,
    }
