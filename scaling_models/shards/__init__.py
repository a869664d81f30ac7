"""Partitioned data: which shard is hot, and what that costs. A new model is one file and one line in MODELS."""

from scaling_models.shards.hotspot import HottestShare, ShareOfOne
from scaling_models.shards.placement import EvenHash, Placement
from scaling_models.shards.popularity import Popularity, Zipf, harmonic
from scaling_models.shards.scaling_curve import ScalingCurve
from scaling_models.shards.shard_load import ShardLoad

MODELS = (
    ShardLoad,
    ScalingCurve,
)
KINDS = (Zipf, EvenHash)  # what its drop-downs offer

__all__ = [
    "KINDS",
    "MODELS",
    "EvenHash",
    "HottestShare",
    "Placement",
    "Popularity",
    "ScalingCurve",
    "ShardLoad",
    "ShareOfOne",
    "Zipf",
    "harmonic",
]
