"""The formulas of pools: plain functions that broadcast over arrays; the models are thin objects over them."""
