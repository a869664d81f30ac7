"""Closed loops: a fixed number of clients who think between an answer and the next request. Exact."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

Array = NDArray[np.float64]


def machine_repairman(clients: ArrayLike, servers: ArrayLike, think_ratio: ArrayLike) -> Array:
    """Shares of time with n = 0, 1, ... requests at the servers (M/M/c//N), along a last axis as long as needed.

    p_n in proportion to z^{N-n}/(N-n)! / (1 c ... min(n, c)), z = mean think time over mean service, for N >= 0
    clients, c >= 1 servers, z >= 0, service exponential, think times of any distribution. Shapes broadcast; beyond
    n = N all is zero. Raises ValueError outside. By the arrival theorem a request finds what N - 1 clients make. Exact
    to about 1e-12. Cooper, Introduction to Queueing Theory, section 3.8; Lavenberg and Reiser, Stationary state
    probabilities at arrival instants, 1980.
    """
    total, slots, ratio = np.broadcast_arrays(*(np.asarray(g, dtype=float) for g in (clients, servers, think_ratio)))
    _refuse("clients", total, 0, "clients")
    _refuse("servers", slots, 1, "servers")
    _refuse("think_ratio", ratio, 0, "")
    n = np.arange(int(total.max(initial=0.0)) + 1.0)
    total, slots, ratio = (each[..., None] for each in (total, slots, ratio))
    thinking = np.maximum(total - n, 0.0)
    busy = np.minimum(n, slots)
    logs = special.xlogy(thinking, ratio) - special.gammaln(thinking + 1.0)
    logs = logs - special.gammaln(busy + 1.0) - (n - busy) * np.log(slots)
    logs = np.where(n <= total, logs, -np.inf)
    with np.errstate(under="ignore"):
        weights = np.exp(logs - logs.max(axis=-1, keepdims=True))
        return np.asarray(weights / weights.sum(axis=-1, keepdims=True))


def closed_throughput(clients: ArrayLike, servers: ArrayLike, think: ArrayLike, service: ArrayLike) -> Any:
    """Requests a second that a closed loop makes: sum_n p_n min(n, c)/E[S], p of `machine_repairman`.

    `think` and `service` are mean times (s), service > 0. Never above min(c/E[S], N/(E[S] + E[Z])). Shapes broadcast.
    """
    given = np.broadcast_arrays(*(np.asarray(each, dtype=float) for each in (clients, servers, think, service)))
    if not (given[3] > 0).all():
        raise ValueError(f"service must lie in (0, inf) s; got {float(given[3].min())!r}")
    p = machine_repairman(given[0], given[1], given[2] / given[3])
    busy = np.minimum(np.arange(p.shape[-1]), given[1][..., None])
    return ((p * busy).sum(axis=-1) / given[3])[()]


def _refuse(name: str, values: Array, least: float, unit: str) -> None:
    outside = values[~((values >= least) & np.isfinite(values))]
    if outside.size:
        raise ValueError(
            f"{name} must lie in [{least:g}, inf){' ' + unit if unit else ''}; got {float(outside.flat[0])!r}"
        )
