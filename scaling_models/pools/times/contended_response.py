"""The response time of slots that slow each other down."""

from __future__ import annotations

from scaling_models.domains import Real, Rows
from scaling_models.latency.phase_type import PhaseType
from scaling_models.latency.phases import Phases
from scaling_models.parameters import parameter
from scaling_models.pools.formulas.contended import solved_response


class ContendedResponse(PhaseType):
    """Wait and service of one queue before slots that slow each other down; see `contended_response`. Exact."""

    arrival_rate: float = parameter(
        default=280.0, domain=Real(), unit="requests/s", symbol="λ", about="requests arriving a second"
    )
    rates: tuple[float, ...] = parameter(
        default=(100.0, 180.0, 240.0, 290.0, 330.0),
        domain=Rows(Real()),
        unit="requests/s",
        symbol="X",
        about="what 1, 2, ... requests in service are served at together",
    )

    def _check(self) -> None:
        if not self.arrival_rate < self.rates[-1]:
            raise ValueError(
                f"{type(self).__name__}.arrival_rate must lie below {self.rates[-1]:g} requests/s, what all slots "
                f"serve; got {self.arrival_rate!r}"
            )

    @property
    def phases(self) -> Phases:
        """Of the chain of a request and those around it."""
        return solved_response(self.arrival_rate, self.rates)
