"""Analytical models for services that must scale past one machine: queueing pools, shards, quorums.

Distributions and their algebra are here at the top, the models in `pools`, `shards` and `quorums`. Times are seconds,
sizes bytes, rates requests a second. A family of models loads when it is asked for, and so do figures, explorers and
reports, with their libraries.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

from scaling_models import latency
from scaling_models.answers import NoClosedForm as NoClosedForm
from scaling_models.latency import *  # noqa: F403  # the distributions and their algebra are the top of the house
from scaling_models.montecarlo.estimates import NotSettled as NotSettled
from scaling_models.montecarlo.verification import verify as verify

if TYPE_CHECKING:
    from scaling_models import pools as pools
    from scaling_models import quorums as quorums
    from scaling_models import shards as shards

__version__ = "0.1.0"

_FAMILIES = ("pools", "shards", "quorums")

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
    if name in _FAMILIES:
        return importlib.import_module(f"scaling_models.{name}")
    if name in _LATE:
        module, attribute = _LATE[name]
        loaded = importlib.import_module(module)
        return getattr(loaded, attribute) if attribute else loaded
    model = not name.startswith("_") and importlib.util.find_spec(f"scaling_models.{name}") is None  # nor a room below
    if "MODELS" not in globals() and (model or name == "__all__"):
        _load_families()
        return getattr(importlib.import_module("scaling_models"), name)
    raise AttributeError(f"module 'scaling_models' has no attribute {name!r}")


def _load_families() -> None:
    """Bring every model, and what its drop-downs offer, to the top, so that any repr can be pasted after import *."""
    families = [importlib.import_module(f"scaling_models.{family}") for family in _FAMILIES]
    models = [kind for family in families for kind in family.MODELS]
    pasted = {kind.__name__: kind for kind in (*models, *(kind for family in families for kind in family.KINDS))}
    named = [*latency.__all__, *pasted, "MODELS", "NoClosedForm", "NotSettled", *_FAMILIES, "verify"]
    # Without the late names: a star must not load them.
    globals().update(pasted, MODELS=tuple(models), __all__=named)


def __dir__() -> list[str]:
    _load_families()
    machinery = {"annotations", "importlib", "Any", "TYPE_CHECKING"}
    named = {name for name in globals() if not name.startswith("_") or name.endswith("__")}
    return sorted({*named, *_FAMILIES, *_LATE} - machinery)
