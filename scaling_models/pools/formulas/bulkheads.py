"""Classes of requests that share slots without a queue, each up to a limit of its own: a product form."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import special

Array = NDArray[np.float64]


def class_blocking(slots: int, offered_loads: Sequence[float], limits: Sequence[int]) -> Array:
    """How often a request of each class is turned away by c slots of which class i may hold l_i at once (classes,).

    p(n) is in proportion to prod_i a_i^{n_i} / n_i! on the states with n_i <= l_i and sum n_i <= c, for services of any
    distributions, whose means count only through the offered loads a_i in erlangs; class i is turned away where
    n_i = l_i or sum n_i = c. Limits of c share all slots (each loses Erlang's B of the sum); limits that sum to c
    part them (each loses its own B). Raises ValueError for loads outside [0, inf), and slots or limits below 1. A sum
    of positive terms: exact to about 1e-11. Kaufman, Blocking in a shared resource environment, IEEE Trans. Commun.
    29, 1981, section II: complete sharing, and the general policy of a set of states.
    """
    loads = np.asarray(offered_loads, dtype=float)
    if not ((loads >= 0) & np.isfinite(loads)).all():
        raise ValueError(f"offered_loads must lie in [0, inf) erlangs; got {offered_loads!r}")
    if slots < 1 or min(limits) < 1 or len(limits) != len(loads):
        raise ValueError(
            f"slots must be 1 at least, and a limit of 1 at least given per class; got {slots}, {limits!r}"
        )
    own = [_truncated(load, min(limit, slots)) for load, limit in zip(loads, limits, strict=True)]
    return np.array([_blocked(k, own, slots) for k in range(len(own))])


def _truncated(load: float, limit: int) -> Array:
    """a^n / n! for n = 0 ... limit, over the largest of them."""
    n = np.arange(limit + 1.0)
    logs = special.xlogy(n, load) - special.gammaln(n + 1.0)
    with np.errstate(under="ignore"):
        return np.asarray(np.exp(logs - logs.max()))


def _blocked(k: int, own: Sequence[Array], slots: int) -> float:
    """The chance of the states in which class k is turned away."""
    mine, rest = own[k], (each for at, each in enumerate(own) if at != k)
    with np.errstate(under="ignore"):
        others = functools.reduce(np.convolve, rest, np.ones(1))[: slots + 1]
        up_to = np.concatenate([[0.0], np.cumsum(others)])  # of fewer than so many
        left = slots - np.arange(len(mine))  # what class k leaves to the others
        states = mine @ up_to[np.minimum(left + 1, len(others))]
        full = mine @ np.where(left < len(others), others[np.minimum(left, len(others) - 1)], 0.0)
        at_limit = mine[-1] * up_to[min(slots - len(mine) + 1, len(others))]
    return float((full + at_limit) / states)
