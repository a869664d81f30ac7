"""How popular keys are. A new popularity is one file and one line in POPULARITIES."""

from scaling_models.shards.popularities.cached import Cached as Cached
from scaling_models.shards.popularities.cached import LRUCached as LRUCached
from scaling_models.shards.popularities.equal import UniformKeys as UniformKeys
from scaling_models.shards.popularities.measured import Measured as Measured
from scaling_models.shards.popularities.measured import Shares as Shares
from scaling_models.shards.popularities.popularity import POPULARITY, Popularity
from scaling_models.shards.popularities.salted import Salted as Salted
from scaling_models.shards.popularities.twitter import twitter_cluster, zipf_alpha, zipf_alphas
from scaling_models.shards.popularities.zipf import ScrambledZipf as ScrambledZipf
from scaling_models.shards.popularities.zipf import Zipf as Zipf

POPULARITIES = (
    Zipf,
    ScrambledZipf,
    UniformKeys,
    Measured,
    Shares,
    Cached,
    LRUCached,
    Salted,
)
__all__ = [
    "POPULARITIES",
    "POPULARITY",
    "Popularity",
    "twitter_cluster",
    "zipf_alpha",
    "zipf_alphas",
    *(kind.__name__ for kind in POPULARITIES),
]
