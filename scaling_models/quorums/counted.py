"""The plain meaning of a quorum expression, votes counted gate by gate: what simulations ask."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scaling_models.montecarlo.kernels.replies import Holds
from scaling_models.quorums.expressions import Expression
from scaling_models.quorums.expressions.gates import Gate


def counted(side: Expression, names: tuple[str, ...]) -> Holds:
    """Whether those of the `names` (first axis) that are there are a quorum."""
    places = {name: place for place, name in enumerate(names)}

    def holds(one: Expression, there: NDArray[np.bool_]) -> NDArray[np.bool_]:
        if not isinstance(one, Gate):
            return np.asarray(there[places[one.names()[0]]])
        needed, weights = one.votes
        votes = sum(weight * holds(each, there).astype(int) for each, weight in zip(one.members, weights, strict=True))
        return np.asarray(votes >= needed)

    return lambda there: holds(side, there)
