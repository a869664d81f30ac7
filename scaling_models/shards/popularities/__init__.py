"""How popular keys are. A new popularity is one file and one line in POPULARITIES."""

from scaling_models.parameters import Record
from scaling_models.shards.popularities.equal import UniformKeys as UniformKeys
from scaling_models.shards.popularities.measured import Measured as Measured
from scaling_models.shards.popularities.measured import Shares as Shares
from scaling_models.shards.popularities.popularity import Popularity
from scaling_models.shards.popularities.twitter import twitter_cluster, zipf_alpha, zipf_alphas
from scaling_models.shards.popularities.zipf import ScrambledZipf as ScrambledZipf
from scaling_models.shards.popularities.zipf import Zipf as Zipf

POPULARITIES = (
    Zipf,
    ScrambledZipf,
    UniformKeys,
    Measured,
    Shares,
)
POPULARITY = Record(
    "a popularity of keys, such as Zipf(items=1000000, exponent=0.99)", lambda: Popularity, lambda: POPULARITIES
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
