"""Servers and utilization against traffic, and what they cost."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from scaling_models.answers import Model, NoClosedForm
from scaling_models.domains import is_number
from scaling_models.pools.formulas.sizing import Array, zoned
from scaling_models.sizing.records import Reserve
from scaling_models.sizing.search import at_once, most_servers, needed
from scaling_models.sizing.targets import Target, targets

if TYPE_CHECKING:
    import pandas as pd

HOUR = 3600.0  # seconds
MILLION = 1e6  # requests


def sizing_table(
    model: Model,
    arrival_rates: Iterable[float],
    *,
    level: float | None = None,
    zones: int = 1,
    failures: int = 0,
    peak: float = 1.0,
    price: float | None = None,
    **target: float,
) -> pd.DataFrame:
    """One row for each arrival rate (the day's mean, requests/s): the least servers, and how busy they are.

    Columns: arrival_rate; servers to provide; needed, those that must be up; utilization with all of them up at the
    mean rate; with a `price` of a server for an hour (in your currency) cost_per_hour and cost_per_million requests.
    Target and reserves as of `servers_for`; where the model has a vector path a thousand rates take milliseconds. `inf`
    where no number will do, NaN without a closed form.
    """
    import pandas as pd

    if price is not None and not (is_number(price) and 0 < price < math.inf):
        raise ValueError(f"price (of a server for an hour) must lie in (0, inf); got {price!r}")
    most_servers(model)
    rates = np.array(list(arrival_rates), dtype=float)
    for rate in rates[~((rates > 0) & np.isfinite(rates))]:
        raise ValueError(f"arrival_rates must lie in (0, inf) requests/s; got {rate}")
    reserve, goals = Reserve(zones, failures, peak), targets(model, target, level)
    least = np.max([least_servers(model, goal, rates * peak) for goal in goals], axis=0)
    servers = np.asarray(zoned(least + reserve.failures, reserve.zones))
    columns: dict[str, Any] = {"arrival_rate": rates, "servers": servers, "needed": least}
    if "utilization" in model.answers():
        columns["utilization"] = [_busy(model, *row) for row in zip(rates, servers, strict=True)]
    if price is not None:
        columns["cost_per_hour"] = servers * price
        columns["cost_per_million"] = servers * price / (rates * HOUR) * MILLION
    return pd.DataFrame(columns)


def least_servers(model: Model, target: Target, rates: Array) -> Array:
    """The least servers at each arrival rate: all at once where the model has a vector path; NaN for no closed form."""
    found, high = at_once(model, target, rates), most_servers(model)
    if found is not None:
        return np.where(found <= high, found, np.inf)
    least, start = np.empty(len(rates)), None
    for at in np.argsort(rates):  # each search begins where the last one ended
        try:
            least[at] = needed(model.replace(arrival_rate=float(rates[at])), target, start)
        except NoClosedForm:
            least[at] = math.nan
        start = int(least[at]) if math.isfinite(least[at]) else None
    return least


def _busy(model: Model, rate: float, servers: float) -> float:
    if not math.isfinite(servers) or servers > most_servers(model):
        return math.nan
    there = model.replace(arrival_rate=float(rate), servers=int(servers))
    return float(getattr(there, "utilization"))  # noqa: B009  # asked for above
