"""Vectorised Monte Carlo: kernels on plain arrays, streams of random numbers, estimates with intervals, verify."""
