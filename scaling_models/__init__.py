"""Analytical models for services that must scale past one machine: queueing pools, shards, quorums.

Distributions and their algebra are here at the top, the models in `pools`, `shards` and `quorums`. Times are seconds,
sizes bytes, rates requests a second. Figures, explorers and reports load their libraries only when asked for.
"""

from __future__ import annotations

import importlib
from typing import Any

from scaling_models import latency, pools, quorums, shards
from scaling_models.answers import NoClosedForm
from scaling_models.latency import *  # noqa: F403  # the distributions and their algebra are the top of the house
from scaling_models.montecarlo.estimates import NotSettled
from scaling_models.montecarlo.verification import verify

__version__ = "0.1.0"

# Each loads plotly, ipywidgets or pandas, which importing the models must not.
_LATE = {
    "explore": ("scaling_models.explorer", "explore"),
    "show": ("scaling_models.explorer", "show"),
    "sweep": ("scaling_models.sweeps", "sweep"),
    "compare": ("scaling_models.sweeps", "compare"),
    "servers_for": ("scaling_models.sizing", "servers_for"),
    "most_load": ("scaling_models.sizing", "most_load"),
    "PoolPlan": ("scaling_models.sizing", "PoolPlan"),
    "sizing": ("scaling_models.sizing", ""),
    "validate": ("scaling_models.validation", "validate"),
    "figures": ("scaling_models.figures", ""),
    "report": ("scaling_models.report", ""),
    "data": ("scaling_models.data", ""),
}


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module 'scaling_models' has no attribute {name!r}")
    module, attribute = _LATE[name]
    loaded = importlib.import_module(module)
    return getattr(loaded, attribute) if attribute else loaded


MODELS = (*pools.MODELS, *shards.MODELS, *quorums.MODELS)
_PASTED = (*MODELS, *pools.KINDS, *shards.KINDS, *quorums.KINDS)
globals().update({kind.__name__: kind for kind in _PASTED})  # so that any repr can be pasted after import *


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATE})


__all__ = [  # without the late names: a star must not load them
    *latency.__all__,
    *(kind.__name__ for kind in _PASTED),
    "MODELS",
    "NoClosedForm",
    "NotSettled",
    "pools",
    "quorums",
    "shards",
    "verify",
]
