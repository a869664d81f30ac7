"""Traffic: requests as they come, Poisson or in bursts, alike or correlated, steady or not."""
