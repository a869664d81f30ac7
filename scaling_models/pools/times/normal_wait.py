"""The longest wait of a surge: normal, and never negative."""

from __future__ import annotations

import numpy as np
from scipy import stats

from scaling_models.latency import Distribution, as_latency

HAIR = 1e-9  # above zero, relative to the mean: rounding must not take it below


def normal_wait(mean: float, spread: float) -> Distribution:
    """Normal about `mean` (s) with standard deviation `spread` (s), given that it is positive."""
    found: Distribution = as_latency(stats.truncnorm(-(1.0 - HAIR) * mean / spread, np.inf, loc=mean, scale=spread))
    return found
