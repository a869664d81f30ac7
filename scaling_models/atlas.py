"""The accuracy atlas: how far off every pool's formula is, measured by simulation over a grid of cases."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scaling_models import latency, pools
from scaling_models.answers import NoClosedForm
from scaling_models.latency import Distribution
from scaling_models.montecarlo.estimates import NotSettled
from scaling_models.montecarlo.verification import verify
from scaling_models.montecarlo.workers import in_order
from scaling_models.pools.bases.pool import Pool

if TYPE_CHECKING:
    import pandas as pd

LEVELS = (0.5, 0.95, 0.99, 0.999)
SERVERS = (4, 10, 50)
WORKERS = (1, 8)  # a server
LOADS = (0.5, 0.7, 0.9, 0.95)
REQUESTS = 1_000_000
FALSE_ALARM = 1e-6  # of the whole atlas
SERVICES: dict[str, Distribution] = {
    "exponential": latency.Exponential(1.0),
    "deterministic": latency.Deterministic(1.0),
    "Erlang, scv 0.25": latency.Erlang(1.0, 4),
    "hyperexponential, scv 4": latency.Hyperexponential(1.0, 4.0),
    "hyperexponential, scv 10": latency.Hyperexponential(1.0, 10.0),
    "lognormal, scv 4": latency.LogNormal(1.0, 4.0),
    "Pareto, index 2.5": latency.Pareto(1.0, 2.5),
}


def cases(
    servers: Sequence[int] = SERVERS, workers: Sequence[int] = WORKERS, loads: Sequence[float] = LOADS
) -> Iterator[tuple[dict[str, Any], Pool]]:
    """Every pool with equal servers at these sizes and loads, before each of the services (mean 1 s)."""
    for kind, size, slots, load in itertools.product(pools.POLICIES, servers, workers, loads):
        for name, service in SERVICES.items():
            told = {"policy": kind.__name__, "servers": size, "workers": slots, "load": load, "service": name}
            yield told, kind(load * size * slots, size, service, workers=slots)


def measured(
    found: Sequence[tuple[dict[str, Any], Pool]],
    requests: int = REQUESTS,
    seed: int = 1,
    *,
    executor: Executor | None = None,
) -> pd.DataFrame:
    """A row for each case and quantity of the latency: formula, simulation with its 95% interval, label and verdict.

    `error` is formula over simulation, less 1; `stated` what the label allows; the verdict is that of `verify`, at one
    in a million of false alarms over all rows. Where there is no formula the row says "simulated". What does not settle
    is left out.
    """
    import pandas as pd

    each = FALSE_ALARM / max(1, len(found))
    jobs = [(told, pool, requests, seed, each) for told, pool in found]
    return pd.DataFrame([row for rows in in_order(executor, case, jobs) for row in rows])


def write(path: Path, requests: int = REQUESTS, seed: int = 1, executor: Executor | None = None) -> None:
    """Measure the whole grid, and write it as data/accuracy.csv is written."""
    found = list(cases())
    table = measured(found, requests, seed, executor=executor)
    head = (
        "# Formula and simulation of every policy's latency (mean service 1 s), 4, 10 or 50 servers, 1 or 8 workers.\n"
        f"# Made by `scaling-models atlas`: {requests:,} requests a case, seed {seed}, {len(found)} cases; low and "
        "high are the ends (empty: not reached) of the simulation's 95% interval.\n"
        "# error: formula over simulation, less 1; stated: what the label allows; verdict: at one false alarm in "
        "a million over all rows.\n"
    )
    path.write_text(head + table.to_csv(index=False, lineterminator="\n"), encoding="utf-8")


def case(told: dict[str, Any], pool: Pool, requests: int, seed: int, false_alarm: float) -> list[dict[str, Any]]:
    """The rows of one case."""
    try:
        pool.latency  # noqa: B018  # whether there is a formula, or a mean
    except NoClosedForm:
        label = pool.accuracy("latency", 0.99).label
        return [told | {"quantity": "latency", "label": label, "stated": math.nan, "verdict": "no formula"}]
    try:
        table = verify(pool, requests, seed, levels=LEVELS, false_alarm=false_alarm)
    except NotSettled:
        return []
    kept = table[table.quantity.str.startswith("latency")]
    return [told | _row(pool, dict(zip(kept.columns, row, strict=True))) for row in kept.itertuples(index=False)]


def _row(pool: Pool, row: dict[str, Any]) -> dict[str, Any]:
    name, quantity = row["quantity"].split(" ")
    level = None if quantity == "mean" else float(quantity[1:]) / 100.0
    accuracy = pool.accuracy(name, level)
    kept = {column: float(f"{row[column]:.6g}") for column in ("closed_form", "simulated", "low", "high")}
    kept["high"] = kept["high"] if math.isfinite(kept["high"]) else math.nan  # the sample does not reach so far
    return {
        "quantity": f"{name} {quantity}",
        "label": accuracy.label,
        "stated": accuracy.error,
        **kept,
        "error": float(f"{row['closed_form'] / row['simulated'] - 1.0:.3g}"),
        "verdict": row["verdict"],
    }
