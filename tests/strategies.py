"""Drawn cases for hypothesis, from the declarations' own domains."""

from hypothesis import strategies as st

import scaling_models as sm
from scaling_models import sweeps

MEANS = st.floats(1e-4, 10.0)

SMOOTH = st.one_of(
    st.builds(sm.Exponential, MEANS),
    st.builds(sm.Erlang, MEANS, st.integers(1, 20)),
    st.builds(sm.Hyperexponential, MEANS, st.floats(1.0, 20.0)),
    st.builds(sm.LogNormal, MEANS, st.floats(0.05, 20.0)),
    st.builds(sm.Pareto, MEANS, st.floats(1.2, 6.0)),
    st.builds(lambda low, width: sm.Uniform(low, low + width), st.floats(0.0, 5.0), st.floats(0.01, 5.0)),
)
KINDS = st.one_of(
    SMOOTH,
    st.builds(sm.Deterministic, MEANS),
    st.builds(lambda times: sm.Empirical(tuple(times)), st.lists(MEANS, min_size=1, max_size=12)),
)
POINTWISE = st.one_of(
    KINDS,
    st.builds(lambda a, by: sm.Shifted(a, by), KINDS, st.floats(0.0, 5.0)),
    st.builds(lambda a, factor: a * factor, KINDS, st.floats(0.1, 10.0)),
    st.builds(lambda p, a, b: sm.mixture((p, 1.0 - p), (a, b)), st.floats(0.01, 0.99), KINDS, KINDS),
    st.builds(lambda a, b: sm.slowest(a, b, b), KINDS, KINDS),
    st.builds(lambda a, b, c: sm.k_of_n(2, (a, b, c)), KINDS, KINDS, KINDS),
    st.builds(lambda a, b: sm.fastest(a, b), KINDS, KINDS),
    st.builds(sm.hedge, SMOOTH, st.floats(0.0, 1.0)),
)

# The kinds whose headline has a closed form at the example's parameters; of the others there is only a simulation.
CLOSED = tuple(kind for kind in sm.MODELS if sweeps.closed(kind.example(), kind.headline) is not None)

# Those of them that know more than a mean.
SPREAD = tuple(kind for kind in CLOSED if getattr(getattr(kind.example(), kind.headline), "spread_known", False))

# The kinds whose headline is a distribution; of the others it is a number.
DISTRIBUTED = tuple(kind for kind in sm.MODELS if sweeps.is_distribution(kind, kind.headline))
