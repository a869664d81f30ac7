"""Plain functions behind the models of quorums."""

"""Formulas of quorums: plain functions of numbers."""
