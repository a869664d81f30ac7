"""Formulas of partitioned data: plain functions on numbers and arrays."""
