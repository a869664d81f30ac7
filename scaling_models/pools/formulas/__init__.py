"""The equations of pools: plain functions that broadcast over arrays; some, asked by no model, are for scripts."""
