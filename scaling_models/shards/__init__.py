"""Partitioned data: which shard is hot, and what that costs. A new model is one file and one line in MODELS."""

from scaling_models.shards.hotspot import HottestShare, ShareOfOne
from scaling_models.shards.placements import *  # noqa: F403  # each placement is one line there
from scaling_models.shards.placements import PLACEMENTS, Placement
from scaling_models.shards.popularity import Popularity, Zipf, harmonic
from scaling_models.shards.scaling_curve import ScalingCurve
from scaling_models.shards.shard_load import ShardLoad

MODELS = (
    ShardLoad,
    ScalingCurve,
)
KINDS = (Zipf, *PLACEMENTS)  # what its drop-downs offer

__all__ = [
    "KINDS",
    "MODELS",
    "HottestShare",
    "PLACEMENTS",
    "Placement",
    "Popularity",
    "ScalingCurve",
    "ShardLoad",
    "ShareOfOne",
    "Zipf",
    "harmonic",
    *(kind.__name__ for kind in PLACEMENTS),
]
