"""The response time of a processor-sharing server with any service."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np
from scipy import special

from scaling_models.domains import Real
from scaling_models.latency import LATENCY, Distribution, Exponential
from scaling_models.latency.distribution import Array
from scaling_models.latency.quadrature import gauss, graded, panels
from scaling_models.parameters import parameter
from scaling_models.pools.formulas.sharing import below_capacity, conditional_variance

NODES = 5  # of a panel of service quantiles
LEVELS = (0.0, 1e-4, 1e-3, 0.01, 0.03, *(i / 20 for i in range(1, 18)))  # panels of the service by probability
HALVINGS = 46  # of what is left above them: to 2e-15
MOST_ATOMS = 400  # of a service: more are taken together
LEAST = 1e-9  # of the mean service: a size of nothing has no spread


class Sharing(Distribution):
    """The response time of M/G/1 with processor sharing, given the service's size x exact in its mean and variance.

    With probability (1 - rho) e^{-lambda x} the request is alone all the time: T = x, exactly. Else T - x is taken for
    gamma distributed, with the mean and variance that are left: E[T | x] = x/(1 - rho), Var(T | x) by
    `conditional_variance`. Mean and variance of T are exact.
    """

    arrival_rate: float = parameter(
        default=80.0, domain=Real(), unit="requests/s", symbol="λ", about="requests arriving at the server"
    )
    service: Distribution = parameter(
        default=Exponential(0.010), domain=LATENCY, unit="s", symbol="S", about="the time that a request takes alone"
    )

    def _check(self) -> None:
        below_capacity(type(self).__name__, self._load)

    @property
    def _load(self) -> float:
        return self.arrival_rate * self.service.mean()

    @property
    def support(self) -> tuple[float, float]:
        """From the shortest service on."""
        return (self.service.support[0], math.inf)

    @property
    def kinks(self) -> tuple[float, ...]:
        """The service's, where a request may be alone."""
        return (self.support[0],) if self.hidden_atoms else self.service.kinks

    @property
    def tail_index(self) -> float:
        """The service's."""
        return self.service.tail_index

    @property
    def hidden_atoms(self) -> bool:
        """True where the service has very many atoms."""
        return self.service.hidden_atoms or len(self.service.atoms) > MOST_ATOMS

    @functools.cached_property
    def atoms(self) -> tuple[tuple[float, float], ...]:
        """The service's, as far as they are alone."""
        if self.hidden_atoms or not self.service.atoms:
            return ()
        places, masses = np.array(self.service.atoms).T
        return tuple(zip(places.tolist(), (masses * self._alone(places)).tolist(), strict=True))

    @functools.cached_property
    def cuts(self) -> Array:
        """Quantiles of the service, what they become among others, and the ends of their delays."""
        levels = np.array([1e-7, 1e-2, 0.5]), np.array([1e-2, 1e-7, 1e-16])
        below, above = (self.service.icdf_levels(each, upper=bool(i)) for i, each in enumerate(levels))
        own = np.array([*self.kinks, *below, *above])
        sizes, _, shape, scale = self._delays
        ends = sizes + scale * special.gammainccinv(shape, 1e-16)
        return graded([*own, *(own / (1.0 - self._load)), *ends[:: len(ends) // 4 + 1], ends[-1]], self.support[0])

    def _alone(self, size: Array) -> Array:
        """The probability that nobody else is there all the time."""
        return np.asarray((1.0 - self._load) * np.exp(-self.arrival_rate * size))

    @functools.cached_property
    def _pure_atoms(self) -> bool:
        return math.fsum(mass for _, mass in self.service.atoms) > 1.0 - 1e-12

    @functools.cached_property
    def _sizes(self) -> tuple[Array, Array]:
        """Ascending sizes that stand for the service, and their weights: quantiles at Gauss nodes, or the atoms."""
        atoms = self.service.atoms
        least = LEAST * self.service.mean()
        if self._pure_atoms and len(atoms) <= MOST_ATOMS:
            places, masses = np.array(atoms).T
            return np.maximum(places, least), masses
        jumps = np.array([] if self.hidden_atoms else [level for each in atoms for level in self._jump(*each)])
        above = (1.0 - LEVELS[-1]) * 0.5 ** np.arange(HALVINGS)
        low, low_weights = panels(np.union1d(LEVELS, jumps[jumps < LEVELS[-1]]), NODES)
        high, high_weights = panels(np.union1d(above, 1.0 - jumps[jumps > LEVELS[-1]]), NODES)
        sizes = np.concatenate([self.service.icdf(low), self.service.iccdf(high[::-1])])
        return np.maximum(sizes, least), np.concatenate([low_weights, high_weights[::-1]])

    def _jump(self, place: float, mass: float) -> tuple[float, float]:
        after = float(self.service.cdf(place))
        return (after - mass, after)

    @functools.cached_property
    def _delays(self) -> tuple[Array, Array, Array, Array]:
        """Of each size: itself, its weight times P(not alone), shape and scale of the delay by the others."""
        sizes, weights = self._sizes
        joined = 1.0 - self._alone(sizes)
        mean = sizes * self._load / (1.0 - self._load) / joined
        square = (self._variances + (mean * joined) ** 2) / joined
        return sizes, weights * joined, mean**2 / (square - mean**2), (square - mean**2) / mean

    @functools.cached_property
    def _variances(self) -> Array:
        return conditional_variance(self.arrival_rate, self.service, self._sizes[0])

    def mean(self) -> float:
        """E[S]/(1 - rho)."""
        return self.service.mean() / (1.0 - self._load)

    def variance(self) -> float:
        """Var(S)/(1 - rho)^2 + E[Var(T | S)]."""
        of_means = self.service.variance() / (1.0 - self._load) ** 2
        return of_means + float(self._sizes[1] @ self._variances) if math.isfinite(of_means) else math.inf

    def _ccdf(self, t: Array) -> Array:
        alone = self._alone_beyond(np.ravel(t)).reshape(np.shape(t))
        return self._alone_factor * alone + self._over_delays(t, special.gammaincc)

    def _cdf(self, t: Array) -> Array:
        alone = (self._alone_beyond(np.array([-1.0])) - self._alone_beyond(np.ravel(t))).reshape(np.shape(t))
        return self._alone_factor * alone + self._over_delays(t, special.gammainc)

    @functools.cached_property
    def _alone_factor(self) -> float:
        """What makes the two quadratures sum to one."""
        return (1.0 - float(self._delays[1].sum())) / float(self._alone_beyond(np.array([-1.0]))[0])

    def _pdf(self, t: Array) -> Array:
        return np.asarray(self._alone(t) * self.service._pdf(t) + self._over_delays(t, _gamma_pdf, per_scale=True))

    def _over_delays(self, t: Array, face: Callable[[Array, Array], Array], per_scale: bool = False) -> Array:
        """The mean of a face of the unit gamma at (t - x)/scale over the sizes x, as far as they are not alone."""
        sizes, weights, shape, scale = self._delays
        away = np.maximum(np.subtract.outer(t, sizes), 0.0) / scale
        return np.asarray(face(shape, away) @ (weights / scale if per_scale else weights))

    def _alone_beyond(self, t: Array) -> Array:
        """P(S > t, and alone) = q(t) P(S > t) - lambda int_t^inf q(x) P(S > x) dx, q(x) = (1 - rho) e^{-lambda x}."""
        if self._pure_atoms:
            places, rest = self._atoms_beyond
            return np.asarray(rest[np.searchsorted(places, t, side="right")])
        edges, beyond = self._edges
        inside = np.clip(t, 0.0, edges[-1])
        after = np.minimum(np.searchsorted(edges, inside, side="right"), len(edges) - 1)
        x, w = gauss(12)
        width = edges[after] - inside
        nodes = inside[:, None] + width[:, None] * x
        rest = (self._alone(nodes) * self.service._ccdf(nodes)) @ w * width + beyond[after]
        here = self._alone(inside) * self.service.ccdf(np.where(t < 0, t, inside))
        return np.where(t >= edges[-1], 0.0, np.maximum(here - self.arrival_rate * rest, 0.0))

    @functools.cached_property
    def _atoms_beyond(self) -> tuple[Array, Array]:
        places, masses = np.array(self.service.atoms).T
        return places, np.append(np.cumsum((masses * self._alone(places))[::-1])[::-1], 0.0)

    @functools.cached_property
    def _edges(self) -> tuple[Array, Array]:
        """Panels on which q(x) P(S > x) is smooth, and its integral from each edge on."""
        forgotten = 40.0 / self.arrival_rate
        scales = forgotten * 2.0 ** -np.arange(8)
        cuts = self.service.cuts
        edges = np.union1d(graded([0.0, *cuts[cuts > 0], *scales], 0.0), [])
        edges = edges[edges <= max(forgotten, self.service.support[0])]
        nodes, weights = panels(edges)
        parts = (self._alone(nodes) * self.service._ccdf(nodes) * weights).reshape(len(edges) - 1, -1).sum(axis=1)
        return edges, np.append(np.cumsum(parts[::-1])[::-1], 0.0)

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        sizes = self.service._draw(shape, rng)
        alone = rng.random(shape) < self._alone(sizes)
        known, _, form, scale = self._delays
        delay = rng.standard_gamma(np.interp(sizes, known, form)) * np.interp(sizes, known, scale)
        return np.where(alone, sizes, sizes + delay)


def _gamma_pdf(shape: Array, x: Array) -> Array:
    safe = np.maximum(x, 1e-300)
    return np.where(x > 0, np.exp((shape - 1.0) * np.log(safe) - safe - special.gammaln(shape)), 0.0)
