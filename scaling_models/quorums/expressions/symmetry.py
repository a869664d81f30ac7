"""Expressions in which every replica plays the same part."""

from __future__ import annotations

from collections.abc import Hashable

from scaling_models.quorums.expressions.expression import Expression, Leaf
from scaling_models.quorums.expressions.gates import Gate


def symmetric(expression: Expression) -> bool:
    """Whether any replica can be put in the place of any other: a tree whose members are alike at each gate."""
    return expression.read_once and _shape(expression) is not None


def alike(one: Expression, other: Expression) -> bool:
    """Whether the same exchanges leave both as they are: they group the replicas in the same way."""
    return _groups(one) == _groups(other)


def _shape(expression: Expression) -> Hashable | None:
    if not isinstance(expression, Gate):
        return "replica"
    needed, weights = expression.votes
    shapes = {_shape(member) for member in expression.members}
    if len(shapes) > 1 or len(set(weights)) > 1 or None in shapes:
        return None
    return (needed, len(weights), shapes.pop())


def _groups(expression: Expression) -> Hashable:
    if isinstance(expression, Gate):
        return frozenset(_groups(member) for member in expression.members)
    assert isinstance(expression, Leaf)
    return expression.name
