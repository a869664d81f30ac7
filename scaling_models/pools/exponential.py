"""Whether a service is exponential, whatever it is called."""

from __future__ import annotations

import math

import numpy as np

from scaling_models.latency import Distribution

AT = np.array([0.01, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0])  # means


def is_exponential(service: Distribution) -> bool:
    """Whether its ccdf is e^{-t/m} at several t."""
    mean = service.mean()
    return 0 < mean < math.inf and bool(np.allclose(service.ccdf(mean * AT), np.exp(-AT), rtol=1e-9, atol=0.0))
