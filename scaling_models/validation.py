"""Model beside measurements of a real system, the gap split into chance, model and system."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scaling_models import units
from scaling_models.latency import Distribution
from scaling_models.montecarlo.estimates import SimulatedLatency
from scaling_models.wording import per_cent, short

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
BATCHES = 20
UNITS_APART = 100.0  # times, by which no model misses


def measured(samples: ArrayLike, warm_up: float = 0.1, batches: int = BATCHES) -> SimulatedLatency:
    """Measured times (s) in the order of measurement, less the first share as warm-up, in batches of time.

    Neighbouring requests resemble each other, so intervals come from how the batches differ, not from their number.
    """
    times = np.asarray(samples, dtype=float)
    if times.ndim != 1 or not np.isfinite(times).all() or (times < 0).any():
        raise ValueError("measured times must be one row of finite numbers in [0, inf) s")
    if not 0 <= warm_up < 1:
        raise ValueError(f"warm_up must lie in [0, 1), a share of the samples; got {warm_up!r}")
    kept = times[int(warm_up * len(times)) :]
    if len(kept) < 2 * batches:
        raise ValueError(f"{len(kept)} measured times are too few for {batches} batches: at least {2 * batches}")
    return SimulatedLatency(kept[: len(kept) // batches * batches].reshape(batches, -1))


def validate(
    closed_form: Distribution,
    samples: ArrayLike,
    *,
    replayed: ArrayLike | None = None,
    levels: tuple[float, ...] = (50, 95, 99),
    warm_up: float = 0.1,
) -> pd.DataFrame:
    """The closed form beside measured times (s), a row for the mean and for each percentile in `levels`.

    Columns: closed_form, measured, low, high (the run's own 95% interval, by batches of time), gap (closed form over
    measured, less one), inside (whether the closed form lies in the interval). With `replayed`, the latencies of the
    run's very arrivals and demands through the model: also replayed, chance (closed form over replayed, less one: what
    this run's draws make of the formula) and system (replayed over measured, less one: what the model leaves out). Over
    a measured 0 (a wait's median) a ratio is no number, unless both are 0. Where the medians are more than a hundred
    times apart, a warning, also in `attrs["says"]`, asks for the unit.
    """
    import pandas as pd

    if not isinstance(closed_form, Distribution):
        raise ValueError(f"validate must be given a distribution, such as a model's latency; got {short(closed_form)}")
    per_cent("validate", levels)
    run = measured(samples, warm_up)
    replay = None if replayed is None else measured(replayed, warm_up)
    through = None if replay is None else replay.mean()
    rows = [_row("mean", closed_form.mean(), run.mean(), run.mean_interval(), through)]
    for level in levels:
        q = level / 100.0
        through = None if replay is None else float(replay.icdf(q))
        rows.append(_row(f"p{level:g}", float(closed_form.icdf(q)), float(run.icdf(q)), run.interval(q), through))
    table = pd.DataFrame(rows).set_index("quantity")
    told = closed_form.highest_level >= 0.5  # not where only the mean is known
    table.attrs["says"] = _units_apart(float(closed_form.icdf(0.5)), float(run.icdf(0.5))) if told else ""
    if table.attrs["says"]:
        warnings.warn(table.attrs["says"], stacklevel=2)
    return table


def _units_apart(closed: float, seen: float) -> str:
    """A sentence where the medians lie so far apart that their units must differ; else nothing."""
    if not (0.0 < closed < math.inf and seen > 0.0 and not 1.0 / UNITS_APART < seen / closed < UNITS_APART):
        return ""
    larger, smaller = ("measured", "model's") if seen > closed else ("model's", "measured")
    times = units.number(max(seen / closed, closed / seen))
    return f"the {larger} median is {times} times the {smaller}: are the samples in seconds?"


def _row(
    name: str, closed: float, seen: float, interval: tuple[float, float], replayed: float | None
) -> dict[str, object]:
    row: dict[str, object] = {"quantity": name, "closed_form": closed}
    if replayed is not None:
        row |= {"replayed": replayed}
    row |= {"measured": seen, "low": interval[0], "high": interval[1], "gap": _apart(closed, seen)}
    if replayed is not None:
        row |= {"chance": _apart(closed, replayed), "system": _apart(replayed, seen)}
    return row | {"inside": interval[0] <= closed <= interval[1]}


def _apart(one: float, other: float) -> float:
    """How far one lies above the other, relative to that: 0 where both are 0, no number where only the other is."""
    if other == 0.0:
        return 0.0 if one == 0.0 else math.nan
    return one / other - 1.0
