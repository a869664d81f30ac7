"""Skews of real traffic: Twitter's cache clusters, by name."""

from __future__ import annotations

import functools
import math
from types import MappingProxyType

from scaling_models import files
from scaling_models.shards.popularities.zipf import Zipf
from scaling_models.tables import read_table


@functools.cache
def zipf_alphas() -> MappingProxyType[str, float]:
    """The Zipf exponents of the 51 of Twitter's cache clusters (2020) that have one, by the cluster's name."""
    table = read_table(files.folder("data") / "twitter_cache_zipf_alpha.csv", text=["cluster"], missing=["NA"])
    pairs = zip(table["cluster"].tolist(), table["zipf_alpha"].tolist(), strict=True)
    return MappingProxyType({cluster: alpha for cluster, alpha in pairs if not math.isnan(alpha)})


def zipf_alpha(cluster: str) -> float:
    """The exponent of one cluster, or a `ValueError` that lists them."""
    known = zipf_alphas()
    if cluster not in known:
        raise ValueError(f"zipf_alpha: cluster must be one of {', '.join(known)}; got {cluster!r}")
    return known[cluster]


def twitter_cluster(cluster: str, items: int = 1_000_000) -> Zipf:
    """Zipf's law with the exponent of one cluster; the number of keys is yours, for it was not published with it."""
    return Zipf(items, zipf_alpha(cluster))
