"""Vectorised Monte Carlo: systems of many independent lanes, run until they have settled, with an interval on all.

* `systems`: what a simulated `System` is: `start`, `advance`, `pick`; and `Outcomes`, what a block of its steps tells;
* `kernels`: the systems, and the recursions on plain arrays beneath them (`kernels/__init__` lists both);
* `traffic`: the flows that feed them, from Poisson arrivals to measured traces;
* `streams`: random numbers, named by a key, so that chunks and workers change nothing;
* `settling`: how long a system remembers its start; `runs`: a settled system run for so many requests, in units of
  work that `workers` share, with `progress`;
* `estimates` and `bins`: means, ratios and quantiles with their intervals, from samples or from counts;
* `comparison`: what two systems differ by on the same numbers; `verification`: a closed form beside its simulation;
* `far_tails`: what plain simulation hardly sees, by exponential twisting and by splitting.
"""
