"""Distributions of non-negative times, and their algebra."""

from scaling_models.latency.adapters import Scipy, as_latency
from scaling_models.latency.algebra import LATENCY, Hedge, KOfN, Mixture, Scaled, Shifted
from scaling_models.latency.distribution import Distribution
from scaling_models.latency.kinds import Erlang, Exponential, Hyperexponential, LogNormal, Pareto, Uniform
from scaling_models.latency.operations import fastest, hedge, k_of_n, mixture, slowest
from scaling_models.latency.points import Deterministic, Empirical, MeanOnly, Never
from scaling_models.latency.sums import SharedKOfN, Sum

KINDS = (Exponential, Deterministic, Erlang, Hyperexponential, LogNormal, Pareto, Uniform)  # what a drop-down offers

__all__ = [
    "KINDS",
    "LATENCY",
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
