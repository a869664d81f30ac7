"""Measurements and published values: a loader for each file in data/.

Times are seconds, whatever the unit in the file.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from scaling_models import files
from scaling_models.tables import LIMIT_BYTES as LIMIT_BYTES
from scaling_models.tables import provenance as provenance
from scaling_models.tables import read_table as read_table

if TYPE_CHECKING:
    import pandas as pd

MICROSECOND, MILLISECOND = 1e-6, 1e-3
PROVIDERS = ("aws", "ibm")
SERVICES = ("exponential", "hyperexponential", "deterministic")


def _frame(table: dict[str, NDArray[Any]]) -> pd.DataFrame:
    import pandas as pd  # here, so that importing the models does not import pandas

    return pd.DataFrame(table)


def haproxy_trace() -> pd.DataFrame:
    """16,000 requests through HAProxy to ten servers: arrival, demand and the latency under four policies, in seconds.

    Columns arrival_s, demand_s and round_robin_latency_s, central_queue_latency_s, least_connections_latency_s,
    random_two_latency_s. The demands were drawn: it validates the balancer, not the service times.
    """
    return _frame(read_table(files.folder("data") / "haproxy_10_servers_exponential_rho80.csv.gz"))


def balancer_trace(
    service: Literal["exponential", "hyperexponential", "deterministic"] = "exponential",
) -> pd.DataFrame:
    """10,000 requests through nginx, and HAProxy, to ten servers: arrival, demand and latencies by policy, in seconds.

    Columns arrival_s, demand_s, nginx_round_robin_latency_s, nginx_least_connections_latency_s and
    nginx_random_two_latency_s; of exponential services also the last two with two worker processes,
    nginx_*_two_workers_latency_s, of the others also haproxy_least_connections_latency_s, haproxy_random_two_latency_s
    and haproxy_central_queue_latency_s. The demands were drawn: it validates the balancers, not the service times.
    """
    if service not in SERVICES:
        raise ValueError(f"service must be one of {', '.join(SERVICES)}; got {service!r}")
    return _frame(read_table(files.folder("data") / f"balancers_10_servers_{service}_rho80.csv.gz"))


def etcd_latency() -> dict[str, NDArray[np.float64]]:
    """Latencies and round trips of a three-member etcd: a series' name -> its measured times in seconds.

    Names are {const, normal, zero}_{put_paced, read_paced} and {const, normal}_{rtt_2, rtt_3}; see `provenance`.
    """
    table = read_table(files.folder("data") / "etcd_3_members_latency.csv", ragged=True)
    return {series: values * MICROSECOND for series, values in table.items()}


def etcd_elections() -> pd.DataFrame:
    """Leaders of a three-member etcd killed: columns kill, seconds_to_new_leader, campaigns."""
    frame = _frame(read_table(files.folder("data") / "etcd_3_members_elections.csv"))
    return frame.astype({"kill": int, "campaigns": int})


def round_trips(provider: Literal["aws", "ibm"] = "aws") -> pd.DataFrame:
    """Mean round trips between ten cloud regions in seconds, row: from, column: to; NaN where none is given."""
    if provider not in PROVIDERS:
        raise ValueError(f"provider must be one of {', '.join(PROVIDERS)}; got {provider!r}")
    path = files.folder("data") / f"{provider}_rtt_ms_10_regions.csv"
    frame = _frame(read_table(path, text=["from/to"], missing=["-"])).set_index("from/to")
    return frame.rename_axis(index="from", columns="to") * MILLISECOND


def twitter_zipf_exponents() -> pd.DataFrame:
    """Zipf exponents of 54 of Twitter's cache clusters (CC BY 4.0): columns cluster, category, zipf_alpha."""
    path = files.folder("data") / "twitter_cache_zipf_alpha.csv"
    return _frame(read_table(path, text=["cluster"], missing=["NA"])).astype({"category": int})


def scaling_curves() -> pd.DataFrame:
    """Throughput of three systems as they grow: columns system (raytracer, specsdm91, cisco), nodes, throughput.

    Each counts its own nodes (processors, users, clients) and its own work (1/s; scripts an hour); see `provenance`.
    """
    return _frame(read_table(files.folder("data") / "scaling_curves.csv", text=["system"]))


def published() -> pd.DataFrame:
    """Values that the models are tested against: id, model, parameters (a dict), metric, value, tolerance, source.

    Values keep the unit that their metric names: `ms` and `mean_ms` are milliseconds.
    """
    path = files.folder("data") / "published.csv"
    frame = _frame(read_table(path, text=["id", "model", "parameters", "metric", "tolerance", "source"]))
    frame["parameters"] = [json.loads(cell) for cell in frame["parameters"]]
    return frame


def simulated_pools() -> pd.DataFrame:
    """Response times (mean services) of pools simulated event by event: mean, p50 to p99.9, each with its error.

    A row a case; `speeds`, `weights` and `fast` (a fixed service of those that fail fast, 0 for none) read
    `value:servers;value:servers`, empty where there are none.
    """
    text = ["policy", "service", "choices", "replacement", "ties", "discipline", "speeds", "weights", "fast"]
    return _frame(read_table(files.folder("data") / "simulated_pools.csv", text=text))


def accuracy() -> pd.DataFrame:
    """The accuracy atlas: formula and simulation of every policy's latency (s, mean service 1 s) over a grid of cases.

    A row a case and quantity: label, stated error (NaN where there is no formula), closed_form, simulated, low and high
    (95% interval), error (formula over simulation, less 1), verdict. Made by `scaling-models atlas`.
    """
    text = ["policy", "service", "quantity", "label", "verdict"]
    return _frame(read_table(files.folder("data") / "accuracy.csv", text=text, missing=("",)))


def system_limits() -> pd.DataFrame:
    """Documented limits and defaults of partitioned systems: system, setting, value (as documented), source.

    `limits` is what of one shard a row bounds: storage (bytes), reads, writes or requests (1/s), or the number of
    shards; `most` that bound. They are empty and NaN where it bounds none of these.
    """
    text = ["system", "setting", "value", "source", "limits"]
    return _frame(read_table(files.folder("data") / "system_limits.csv", text=text, missing=("",)))


def measured_placements() -> pd.DataFrame:
    """Largest shares of real placements (uhashring, jump hash, Redis' slots): mean and standard deviation of 30 each.

    A row a case: placement, points (a node, NaN where there are none), nodes, keys and exponent (of Zipf's popularity).
    """
    path = files.folder("data") / "placements.csv"
    return _frame(read_table(path, text=["placement"], missing=("",))).astype({"nodes": int, "keys": int})


def catalogue() -> pd.DataFrame:
    """All files of data/: name, what, source, unit, how_measured, licence ("figures only": only figures were taken)."""
    text = ["name", "what", "source", "unit", "how_measured", "licence"]
    return _frame(read_table(files.folder("data") / "catalogue.csv", text, text=text))
