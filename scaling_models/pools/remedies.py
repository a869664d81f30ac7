"""Remedies against retries that feed on themselves: each says what it changes in the rules of the queue."""

from __future__ import annotations

from typing import Any

from scaling_models.domains import Choice, Integer, Real, Record
from scaling_models.parameters import Declared, Slider, parameter


class Remedy(Declared):
    """Base of the remedies; a kind tells its `rules`, by the names of the simulation's."""

    @property
    def rules(self) -> dict[str, Any]:
        """What it sets."""
        raise NotImplementedError


class RetryBudget(Remedy):
    """Retries at most a share of the fresh requests: each of these earns so much of a token, of which `burst` are kept
    at most, and each retry costs one. Without a token the request fails for good. Envoy: retry_budget; gRPC: retry
    throttling; Finagle: RetryBudget.
    """

    share: float = parameter(
        default=0.10,
        domain=Real(0.0, 1.0, open_low=False, open_high=False),
        symbol="b",
        about="retries allowed, as a share of the fresh requests",
        slider=Slider(0.0, 1.0, 0.05),
    )
    burst: int = parameter(
        default=10,
        domain=Integer(1, 10**6),
        unit="retries",
        about="retries that may be saved up",
        slider=Slider(1, 100, 1),
    )

    @property
    def rules(self) -> dict[str, Any]:
        """Budget and burst."""
        return {"budget": self.share, "burst": float(self.burst)}


class QueueLimit(Remedy):
    """An attempt that finds so many others waiting is rejected, at once and for nothing."""

    places: int = parameter(
        default=50,
        domain=Integer(0, 5000),
        unit="requests",
        symbol="K",
        about="how many may wait",
        slider=Slider(0, 500, 10),
    )

    @property
    def rules(self) -> dict[str, Any]:
        """The limit."""
        return {"queue_limit": float(self.places)}


class DeadlineDrop(Remedy):
    """A worker drops, at no cost, what has waited longer than this when it comes to it; its client hears nothing."""

    longest_wait: float = parameter(
        default=0.100,
        domain=Real(0.0, open_low=False),
        unit="s",
        symbol="d",
        about="the longest wait after which an attempt is still served",
        slider=Slider(0.0, 1.0, 0.01),
    )

    @property
    def rules(self) -> dict[str, Any]:
        """The deadline."""
        return {"deadline": self.longest_wait}


class Backoff(Remedy):
    """The i-th retry comes min(first 2^(i-1), longest) after the failure; with jitter, a uniform share of that.

    It spreads the retries, and does not make them fewer: alone it delays a collapse and does not prevent it.
    """

    first: float = parameter(
        default=0.100,
        domain=Real(0.0, open_low=False),
        unit="s",
        about="the pause before the first retry",
        slider=Slider(0.0, 1.0, 0.01),
    )
    longest: float = parameter(
        default=1.0,
        domain=Real(0.0, open_low=False),
        unit="s",
        about="no pause is longer",
        slider=Slider(0.1, 9.0, 0.1),
    )
    jitter: str = parameter(
        default="none",
        domain=Choice(("none", "full")),
        about="full: each pause is a uniform share of what it would be",
    )

    @property
    def rules(self) -> dict[str, Any]:
        """Pauses and jitter."""
        return {"backoff": self.first, "longest_backoff": self.longest, "jitter": self.jitter == "full"}


KINDS = (RetryBudget, QueueLimit, DeadlineDrop, Backoff)
REMEDY = Record("a remedy, such as RetryBudget(0.10)", base=lambda: Remedy, kinds=lambda: KINDS)
