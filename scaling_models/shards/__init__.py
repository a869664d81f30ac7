"""Partitioned data: which shard is hot, and what that costs. A new model is one file and one line in MODELS."""

from scaling_models.shards.copyset_loss import CopysetLoss
from scaling_models.shards.durability import Durability
from scaling_models.shards.formulas.caches import characteristic_time, lru_hit_ratio, most_missed, small_cache_bound
from scaling_models.shards.formulas.harmonic import harmonic
from scaling_models.shards.formulas.range_splits import SteadyFill
from scaling_models.shards.formulas.rings import largest_share_mean, largest_share_quantile, share_cv, share_quantile
from scaling_models.shards.hotspot import HottestShare, ShareOfOne
from scaling_models.shards.placements import *  # noqa: F403  # each placement is one line there
from scaling_models.shards.placements import PLACEMENTS, Placement
from scaling_models.shards.popularities import *  # noqa: F403  # and each popularity there
from scaling_models.shards.popularities import (
    POPULARITIES,
    Popularity,
    UniformKeys,
    twitter_cluster,
    zipf_alpha,
    zipf_alphas,
)
from scaling_models.shards.range_splits import RangeSplits
from scaling_models.shards.rebalance import Rebalance
from scaling_models.shards.replica_reads import ReplicaReads
from scaling_models.shards.scaling_curve import ScalingCurve
from scaling_models.shards.scatter_gather import ScatterGather
from scaling_models.shards.shard_count import ShardPlan
from scaling_models.shards.shard_latency import ShardLatency
from scaling_models.shards.shard_load import ShardLoad
from scaling_models.shards.shard_time import ShardTime
from scaling_models.shards.transactions import ShardTransactions
from scaling_models.shards.virtual_nodes import VirtualNodes

MODELS = (
    ShardLoad,
    ShardLatency,
    ReplicaReads,
    ScalingCurve,
    ShardTransactions,
    Rebalance,
    Durability,
    CopysetLoss,
    VirtualNodes,
    ScatterGather,
    ShardPlan,
    RangeSplits,
)
KINDS = (*POPULARITIES, *PLACEMENTS)  # what its drop-downs offer
Uniform = UniformKeys  # at the top of the package that name is a latency's

__all__ = [
    "CopysetLoss",
    "Durability",
    "KINDS",
    "MODELS",
    "HottestShare",
    "PLACEMENTS",
    "Placement",
    "POPULARITIES",
    "Popularity",
    "Rebalance",
    "RangeSplits",
    "ReplicaReads",
    "ScalingCurve",
    "ShardLatency",
    "ShardLoad",
    "ShardTransactions",
    "ScatterGather",
    "ShardPlan",
    "ShardTime",
    "ShareOfOne",
    "SteadyFill",
    "Uniform",
    "VirtualNodes",
    "characteristic_time",
    "harmonic",
    "largest_share_mean",
    "largest_share_quantile",
    "lru_hit_ratio",
    "most_missed",
    "share_cv",
    "share_quantile",
    "small_cache_bound",
    "twitter_cluster",
    "zipf_alpha",
    "zipf_alphas",
    *(kind.__name__ for kind in KINDS),
]
