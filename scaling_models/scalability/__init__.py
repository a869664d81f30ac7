"""The Universal Scalability Law: how throughput grows with nodes (or with requests at once), and its fit to points."""

from scaling_models.scalability.fit import UslFit, fit_usl
from scaling_models.scalability.law import (
    usl_efficiency,
    usl_knee,
    usl_latency,
    usl_limit,
    usl_nodes_at_latency,
    usl_nodes_at_throughput,
    usl_peak,
    usl_throughput,
    usl_throughput_at_latency,
)

__all__ = [
    "UslFit",
    "fit_usl",
    "usl_efficiency",
    "usl_knee",
    "usl_latency",
    "usl_limit",
    "usl_nodes_at_latency",
    "usl_nodes_at_throughput",
    "usl_peak",
    "usl_throughput",
    "usl_throughput_at_latency",
]
