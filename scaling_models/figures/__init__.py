"""Figures by question: pure functions from models to plotly figures, always the same traces in the same order."""

from scaling_models.figures.comparisons import comparison
from scaling_models.figures.courses import course
from scaling_models.figures.lanes import swim_lanes
from scaling_models.figures.loads import load
from scaling_models.figures.maps import load_map
from scaling_models.figures.queues import queues
from scaling_models.figures.rebalances import rebalance
from scaling_models.figures.recoveries import recovery
from scaling_models.figures.regions import regions
from scaling_models.figures.rings import rings
from scaling_models.figures.shards import hot_shards
from scaling_models.figures.sizing import sizing
from scaling_models.figures.sweeping import sweep
from scaling_models.figures.tails import survival
from scaling_models.figures.timelines import timeline
from scaling_models.figures.timeouts import timeouts
from scaling_models.figures.verifications import verification
from scaling_models.figures.waves import wave

__all__ = [
    "comparison",
    "course",
    "hot_shards",
    "load",
    "load_map",
    "queues",
    "rebalance",
    "recovery",
    "regions",
    "rings",
    "sizing",
    "survival",
    "sweep",
    "swim_lanes",
    "timeline",
    "timeouts",
    "verification",
    "wave",
]
