"""Explorers: a model's sliders, its figure, and what the figure rests on, made from the declarations."""

import sys
from types import ModuleType
from typing import Any

from scaling_models.explore.drawing import shown as show
from scaling_models.explore.panel import Panel, explore

__all__ = ["Panel", "explore", "show"]


class _Room(ModuleType):
    """The module, callable: once imported, it is what `scaling_models.explore` means, in place of the function."""

    def __call__(self, *arguments: Any, **named: Any) -> Panel:
        return explore(*arguments, **named)


sys.modules[__name__].__class__ = _Room
