"""Multi-probe consistent hashing (Appleton and O'Reilly 2015)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from scaling_models.domains import Integer
from scaling_models.parameters import Slider, parameter
from scaling_models.shards.placements.hash_ring import random_tokens
from scaling_models.shards.placements.hashing import Hashes, following, salted
from scaling_models.shards.placements.placement import Placement
from scaling_models.shards.placements.shares import Moved, Nodes, ShareAmong

LEVELS = 32  # Gauss points of a share's law


class MultiProbe(Placement):
    """A ring with one random token a node; of k hashes of a key the one nearest before a token decides. With many nodes

    N s = k/(k - 1) (1 - U^(k - 1)), U even in (0, 1): a probe lies further than d mean gaps before its token with
    probability e^-d, so that a node whose gap is g wins at the rate k e^{-(k - 1) d} over d < g. Exact for many nodes;
    the mean of the largest is below k/(k - 1) means.

    Appleton and O'Reilly, arXiv:1505.00062.
    """

    probes: int = parameter(
        default=21,
        domain=Integer(2, 1000),
        unit="probes",
        symbol="k",
        about="hashes of each key",
        slider=Slider(2, 40, 1),
    )

    def owners(self, hashes: Hashes, shards: int, salt: int) -> NDArray[Any]:
        """The node whose token is nearest after one of the key's probes."""
        tokens, owner = random_tokens(shards, 1, salt)
        nearest, found = np.full(len(hashes), 2**64 - 1, dtype=np.uint64), np.zeros(len(hashes), dtype=np.int64)
        for probe in range(self.probes):
            hit = salted(hashes, probe)
            at = following(tokens, hit) % shards
            away = tokens[at] - hit  # around the ring, for whole numbers of 64 bits turn over
            closer = away <= nearest
            nearest[closer], found[closer] = away[closer], owner[at[closer]]
        return found

    def nodes(self, shards: int, replicas: int = 1) -> tuple[Nodes, ...]:
        """By Gauss points of U^(k - 1)."""
        k = self.probes
        # In w = U^(k - 1), of density w^(1/(k - 1) - 1)/(k - 1): Gauss-Jacobi takes the pole at zero exactly.
        points, weights = special.roots_jacobi(LEVELS, 0.0, 1.0 / (k - 1.0) - 1.0)
        u = (points + 1.0) / 2.0
        shares = k / (k - 1.0) * (1.0 - u) / shards
        return (Nodes(shards, ShareAmong(tuple(shares.tolist()), tuple((weights / weights.sum()).tolist()))),)

    def law_error(self, shards: int, replicas: int = 1) -> float:
        """Measured with 2 to 400 nodes, 2 to 1,000 probes, Zipf 0 to 1.2; of copies with 4 nodes. One node has all."""
        if shards == 1:
            return 0.0
        if replicas > 1:
            return 0.08 if shards < 64 else 0.03
        return 0.13 if shards == 2 else 0.06 if shards < 6 else 0.03

    def law_quantile_error(self, shards: int, replicas: int = 1) -> float | None:
        """Measured likewise from p1 to p99, nearly all of it beyond p95: the shares are taken as independent but for
        their sum, and vary together more than that."""
        return 0.5 if shards < 64 else 0.3

    def mean_largest_share(self, shards: int) -> float:
        """k/(k - 1) (1 - E[the least of N, of U^(k - 1)]) / N, with E = Γ(k) Γ(N + 1)/Γ(N + k)."""
        k = self.probes
        least = np.exp(special.gammaln(k) + special.gammaln(shards + 1.0) - special.gammaln(shards + k))
        return float(k / (k - 1.0) * (1.0 - least) / shards) if shards > 1 else 1.0

    def moved(self, before: int, after: int) -> Moved:
        """|M - N|/max(M, N) in the mean, and the spread of the shares of as many nodes. Exact for any number of nodes.

        The shares of N nodes have E[sum s_i^2] = a/(a - 1) (1/N - B(N, a)), a = 2k: in order of their gaps they are
        sum_{m <= i} (V_{m-1}^k - V_m^k)/(N - m + 1), V the descending order statistics of N - 1 even numbers.
        """
        most, extra = max(before, after), abs(after - before)
        if not extra or most == extra:
            return Moved(extra / most, 0.0)
        power = 2.0 * self.probes
        scv = (1.0 - power * most * special.beta(most, power)) / (power - 1.0)
        return Moved(extra / most, float(np.sqrt(scv * extra * (most - extra) / (most - 1.0)) / most))

    def spread_error(self, nodes: int) -> float:
        """One node's share ends at k/(k - 1) means, which no beta does: measured on 2 to 64 nodes, 2 to 40 probes."""
        return 0.42 / nodes
