"""The slots of a server, a parameter that many models share."""

from __future__ import annotations

from typing import Any

from scaling_models.domains import Integer
from scaling_models.parameters import Slider, parameter


def slots_each(most: int = 10**4) -> Any:
    """The declaration of `workers`: how many requests a server serves at once."""
    return parameter(
        default=1,
        domain=Integer(1, most),
        unit="workers",
        symbol="k",
        about="slots of each server",
        slider=Slider(1, 32, 1),
    )
