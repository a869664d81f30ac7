"""The response time of a processor-sharing server, by whichever formula there is, and how far it can be believed."""

from __future__ import annotations

from scaling_models.latency import Distribution, MeanOnly, Never
from scaling_models.pools.exponential import is_exponential
from scaling_models.pools.exponential_sharing import ExponentialSharing
from scaling_models.pools.formulas.sharing import shared_mean
from scaling_models.pools.sharing import Sharing


def shared_response(arrival_rate: float, service: Distribution, workers: int = 1) -> Distribution:
    """The response time of one processor-sharing server of `workers` that gets `arrival_rate` Poisson requests/s.

    `Never` at overload; of exponential service the exact distribution; of others with one worker `Sharing`, with
    several the exact mean alone.
    """
    if arrival_rate * service.mean() >= workers:
        return Never()
    if is_exponential(service):
        return ExponentialSharing(arrival_rate, 1.0 / service.mean(), workers)
    if workers == 1:
        return Sharing(arrival_rate, service)
    return MeanOnly(shared_mean(arrival_rate, service.mean(), workers))
