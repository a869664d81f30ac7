"""Waits and response times of pools as distributions."""
