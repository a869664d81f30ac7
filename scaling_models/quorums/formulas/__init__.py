"""Plain functions behind the models of quorums."""

"""Formulas of quorums: plain functions of numbers."""
"""The equations of consensus: plain functions on numbers and arrays, each exact or with its measured error."""
