"""Consensus: how long a quorum takes, and how often there is one. A new model is one file and one line in MODELS."""

from scaling_models.quorums.expressions import Choose, Expression, Leaf, choose, completion
from scaling_models.quorums.raft import Raft
from scaling_models.quorums.regions import leaders, regional_raft, round_trip

MODELS = (Raft,)

__all__ = [
    "MODELS",
    "Choose",
    "Expression",
    "Leaf",
    "Raft",
    "choose",
    "completion",
    "leaders",
    "regional_raft",
    "round_trip",
]
