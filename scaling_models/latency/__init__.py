"""Distributions of non-negative times, and their algebra."""

from scaling_models.latency.adapters import Scipy, as_latency
from scaling_models.latency.affine import Scaled, Shifted
from scaling_models.latency.distribution import Distribution
from scaling_models.latency.heavy import LogNormal, Pareto
from scaling_models.latency.hedges import Hedge
from scaling_models.latency.kinds import Erlang, Exponential, Hyperexponential, Uniform
from scaling_models.latency.mixtures import Mixture
from scaling_models.latency.operations import fastest, hedge, k_of_n, mixture, slowest
from scaling_models.latency.order_statistics import KOfN
from scaling_models.latency.points import Deterministic, Empirical, MeanOnly, Never
from scaling_models.latency.record import LATENCY, SPREAD
from scaling_models.latency.shared import SharedKOfN
from scaling_models.latency.sums import Sum

KINDS = (Exponential, Deterministic, Erlang, Hyperexponential, LogNormal, Pareto, Uniform)  # what a drop-down offers

__all__ = [
    "KINDS",
    "LATENCY",
    "SPREAD",
    "Deterministic",
    "Distribution",
    "Empirical",
    "Erlang",
    "Exponential",
    "Hedge",
    "Hyperexponential",
    "KOfN",
    "LogNormal",
    "MeanOnly",
    "Mixture",
    "Never",
    "Pareto",
    "Scaled",
    "Scipy",
    "SharedKOfN",
    "Shifted",
    "Sum",
    "Uniform",
    "as_latency",
    "fastest",
    "hedge",
    "k_of_n",
    "mixture",
    "slowest",
]
