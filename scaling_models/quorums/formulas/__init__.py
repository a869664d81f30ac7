"""The equations of consensus: plain functions on numbers and arrays; some, asked by no model, are for scripts."""
