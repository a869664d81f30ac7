"""Requests that arrive in batches, before one queue; exact."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats

from scaling_models.pools.formulas.erlang import erlang_c


def batch_probability_of_wait(servers: ArrayLike, offered_load: ArrayLike, batch: ArrayLike) -> Any:
    """Probability that a request has to wait where requests come in geometric batches (M^X/M/c); 1 at overload.

    With mean batch b, q = 1 - 1/b and s = 1 + a / (b q): a request finds n < c others with the weight of a negative
    binomial, (s)_n q^n / n!, and from n = c - 1 on each weight is r = q + a / (b c) times the one before it. The wait,
    given that there is one, is exponential with rate (c mu - lambda) / b. Shapes broadcast: servers c > 0, offered load
    a >= 0 (erlangs), batch b >= 1 (requests); raises ValueError outside. Exact to 1e-9; b = 1 is Erlang C. From the cut
    equations of the chain; Chaudhry and Templeton, A First Course in Bulk Queues, 1983.
    """
    c, a, b = np.broadcast_arrays(*(np.asarray(each, dtype=float) for each in (servers, offered_load, batch)))
    outside = b[~((b >= 1) & np.isfinite(b))]
    if outside.size:
        raise ValueError(f"batch must lie in [1, inf) requests; got {float(outside.flat[0])!r}")
    single = np.asarray(erlang_c(c, a))
    many = (b > 1.0 + 1e-9) & (a < c) & (a > 0)
    q = np.where(many, (b - 1.0) / b, 0.5)
    s = 1.0 + np.where(many, a, 1.0) / (b * q)
    last = stats.nbinom.pmf(c - 1.0, s, 1.0 - q)
    r = np.where(many, q + a / (b * c), 0.5)
    beyond = last * r / (1.0 - r)
    within = special.betaincc(c, s, q)
    return np.where(many, beyond / np.where(many, beyond + within, 1.0), single)[()]
