"""Requests to the servers in turn."""

from __future__ import annotations

from scaling_models.montecarlo.kernels.rules import RoundRobin as Rule
from scaling_models.pools.dispatched import Dispatched


class RoundRobin(Dispatched):
    """Each request to the next of the servers, each server a queue of its own: N times E_N/G/k with Poisson arrivals.

    No closed form yet: `latency` raises `NoClosedForm`, and can be simulated. nginx and HAProxy: round robin.
    """

    def _rule(self) -> Rule:
        return Rule()
