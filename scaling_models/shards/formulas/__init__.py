"""The equations of partitioned data: plain functions on numbers and arrays; some, asked by no model, for scripts."""
