"""Explorers: a model's sliders, its figure, and what the figure rests on, made from the declarations."""

from scaling_models.explorer.drawing import shown as show
from scaling_models.explorer.panel import Panel, explore

__all__ = ["Panel", "explore", "show"]
