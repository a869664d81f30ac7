"""What several models of pools share: their parameters and simulated twins, and their answers where a formula holds."""
