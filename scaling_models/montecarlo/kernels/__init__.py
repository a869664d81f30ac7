"""Kernels: what happens to requests in a system, on plain arrays, for many lanes at once."""
