"""Quorum expressions: algebra over replicas, evaluated once for latency, availability and survival."""

from scaling_models.quorums.expressions.builders import choose, grid, hierarchy, leaves, majority, weighted
from scaling_models.quorums.expressions.completion import completion
from scaling_models.quorums.expressions.expression import Expression, Leaf
from scaling_models.quorums.expressions.gates import Choose, Weighted

__all__ = [
    "Choose",
    "Expression",
    "Leaf",
    "Weighted",
    "choose",
    "completion",
    "grid",
    "hierarchy",
    "leaves",
    "majority",
    "weighted",
]
