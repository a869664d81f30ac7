"""Control variates: what each batch drew beside what it should have drawn on average, and the correction for it."""

from __future__ import annotations

import dataclasses
import functools
import math

import numpy as np
from numpy.typing import ArrayLike

from scaling_models.montecarlo.arrays import Array
from scaling_models.montecarlo.traffic.flows import Flow

SPREAD = 1e-9  # relative, below which a control is a constant (of deterministic services, say) and tells nothing
TALLIES = ("offered", "requests", "time")  # of a system that says what came


@dataclasses.dataclass(frozen=True, eq=False)
class Controls:
    """Deviations (batches, controls) of quantities whose expectation is zero, known and not estimated.

    The mean of batch values y is corrected to w y, w = 1/n - (D - mean D) S^-1 mean D with S the scatter of D: the
    intercept of the least-squares plane through (D, y), the same weights whatever y is. Its error is that plane's, with
    n - 1 - controls degrees of freedom. Biased by O(1/n) of the curvature of
    y(D) only. Lavenberg and Welch 1981.
    """

    deviations: Array

    @classmethod
    def none(cls, batches: int) -> Controls:
        """No controls: plain means of so many batches."""
        return cls(np.zeros((batches, 0)))

    @functools.cached_property
    def _plane(self) -> tuple[Array, Array, Array]:
        """The telling deviations from their means (batches, k), the inverse of their scatter, and the means."""
        telling = self.deviations[:, self.deviations.std(axis=0) > SPREAD]
        means = telling.mean(axis=0)
        apart = telling - means
        return apart, np.linalg.inv(apart.T @ apart), means

    @functools.cached_property
    def weights(self) -> Array:
        """Of each batch in a mean; they add up to one."""
        apart, inverse, means = self._plane
        return np.asarray(1.0 / len(apart) - apart @ (inverse @ means))

    @property
    def freedom(self) -> int:
        """The degrees of freedom left to the error."""
        apart, _, _ = self._plane
        return int(len(apart) - 1 - apart.shape[1])

    def error(self, values: ArrayLike) -> float:
        """The standard error of the corrected mean of batch values, which may vary more where they are larger.

        sum (w r / (1 - h))^2 (n - 1) / n, r being what the plane leaves of y and h each batch's leverage on it (the
        jackknife; HC3 of MacKinnon and White 1985); without controls the plain standard error. At least an eighth of
        that with 64 batches, 1/sqrt(n): events so rare that no batch had one are in no plane.
        """
        apart, inverse, _ = self._plane
        if self.freedom < 1:
            return math.nan
        each, size = np.asarray(values, dtype=float), len(apart)
        centred = each - each.mean()
        rest = centred - apart @ (inverse @ (apart.T @ centred))
        leverage = 1.0 / size + np.einsum("ij,jk,ik->i", apart, inverse, apart)
        left = float(((self.weights * rest / (1.0 - leverage)) ** 2).sum()) * (size - 1) / size
        return math.sqrt(max(left, float(centred @ centred) / size**3))


def drawn_beside_expected(system: object, tallies: dict[str, Array]) -> Controls:
    """The batches' mean services and gaps, relative to the flow's own, less 1: where the system tallies what came.

    Not of services whose tail has no fourth moment: one huge service would decide on the correction.
    """
    flow: Flow | None = getattr(system, "flow", None)
    if flow is None or "offered" not in tallies or flow.service.tail_index <= 4.0:
        return Controls.none(len(tallies["time"]))
    each = tallies["requests"]
    service, gap = flow.service.mean(), 1.0 / flow.arrival_rate
    return Controls(np.column_stack([tallies["offered"] / each / service, tallies["time"] / each / gap]) - 1.0)
