"""The response time of a processor-sharing server, by whichever formula there is, and how far it can be believed."""

from __future__ import annotations

import math

from scaling_models.answers import EXACT, Accuracy, NoClosedForm
from scaling_models.latency import Distribution, MeanOnly, Never
from scaling_models.pools.bases.pool import SIMULATED
from scaling_models.pools.formulas.sharing import shared_mean, sharing_spectrum
from scaling_models.pools.formulas.walks import is_exponential
from scaling_models.pools.times.exponential_sharing import ExponentialSharing
from scaling_models.pools.times.sharing import Sharing

STEADY = 0.1  # squared coefficient of variation below which the gamma errs most
FEW = 20  # atoms of a service that is nothing else: its quantiles jump, and the formula's elsewhere
CLOSE = Accuracy("within 3%", 0.03, "loads 0.1 to 0.95, seven kinds of service, p50 to p99.9")
NEAR = Accuracy("within 15%", 0.05, "loads 0.1 to 0.95, constant or nearly constant service, p50 to p99.9")
ROUGH = Accuracy("within 15%", 0.15, "services with atoms, and outside p50 to p99.9")


def shared_response(arrival_rate: float, service: Distribution, workers: int = 1) -> Distribution:
    """The response time of one processor-sharing server of `workers` that gets `arrival_rate` Poisson requests/s.

    `Never` at overload; of exponential service the exact distribution; of others with one worker `Sharing`; with
    several workers, a service of a few different constants, or exponential service so near capacity that its spectrum
    is not resolved (see `sharing_spectrum`), the exact mean alone.
    """
    if arrival_rate * service.mean() >= workers:
        return Never()
    if is_exponential(service):
        if _resolved(arrival_rate, service, workers):
            return ExponentialSharing(arrival_rate, 1.0 / service.mean(), workers)
        return MeanOnly(shared_mean(arrival_rate, service.mean(), workers))
    if workers == 1 and not _jumps(service):
        return Sharing(arrival_rate, service)
    return MeanOnly(shared_mean(arrival_rate, service.mean(), workers))


def shared_accuracy(
    arrival_rate: float, service: Distribution, workers: int = 1, level: float | None = None
) -> Accuracy:
    """How far `shared_response` can be believed: its mean exactly, its quantiles as measured beside simulations."""
    if level is None or arrival_rate * service.mean() >= workers:
        return EXACT
    if is_exponential(service):
        return EXACT if _resolved(arrival_rate, service, workers) else SIMULATED
    if workers > 1 or _jumps(service):
        return SIMULATED
    if not 0.5 - 1e-9 <= level <= 0.999 + 1e-9 or (service.atoms and len(service.atoms) > 1):
        return ROUGH
    return NEAR if service.scv < STEADY or service.atoms else CLOSE


def _resolved(arrival_rate: float, service: Distribution, workers: int) -> bool:
    try:
        sharing_spectrum(arrival_rate, 1.0 / service.mean(), workers)
    except NoClosedForm:
        return False
    return True


def _jumps(service: Distribution) -> bool:
    """Whether it is a few different constants."""
    few = 1 < len(service.atoms) <= FEW
    return few and math.fsum(mass for _, mass in service.atoms) > 1.0 - 1e-12
