"""Far tails: what plain simulation hardly sees, by exponential twisting and by splitting."""
