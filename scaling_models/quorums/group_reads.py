"""Ways of reading from a consensus group: their parameters, and what each may return."""

from __future__ import annotations

from scaling_models.answers import Model
from scaling_models.domains import Choice, Real, Rows
from scaling_models.latency import LATENCY, Distribution, LogNormal
from scaling_models.parameters import Slider, parameter

LOG, INDEX, LEASE, FOLLOWER = "log", "ReadIndex", "lease", "follower"
QUORUM, STALE = "quorum", "bounded staleness"
WAYS = (LOG, INDEX, LEASE, FOLLOWER, QUORUM, STALE)
RETURNS = {
    LOG: "linearizable: the read is a command, and sees all that was committed before it",
    INDEX: "linearizable: a majority confirms that the leader still leads, then it answers from its own state",
    LEASE: "linearizable while clocks keep within the drift; a clock that runs slower may return what is overwritten",
    FOLLOWER: "linearizable: the leader's confirmed index, then the follower's own state once it has applied it",
    QUORUM: "linearizable once no write of the key is pending: the newest value of a majority",
    STALE: "sequential: a state that was, up to the lag old; never a newer one before an older one at one replica",
}


class GroupReads(Model):
    """Base of models of reads: how they are answered, by whom, and what that takes."""

    way: str = parameter(default=INDEX, domain=Choice(WAYS), about="how a read is answered")
    follower_rtts: tuple[Distribution, ...] = parameter(
        default=(LogNormal(0.005, 0.25),) * 4,
        domain=Rows(LATENCY, least=0, most=100),
        unit="s",
        symbol="X",
        about="round trip from the leader to each follower, without its disk",
    )
    fsync: Distribution = parameter(
        default=0.002, domain=LATENCY, unit="s", symbol="D", about="a disk write, the leader's or a follower's"
    )
    read_rate: float = parameter(
        default=500.0,
        domain=Real(open_low=False),
        unit="reads/s",
        symbol="λ",
        about="reads a second that the leader confirms",
        slider=Slider(1.0, 100_000.0, 0.1, log=True),
    )
    rounds: str = parameter(
        default="shared",
        domain=Choice(("shared", "each its own")),
        about="whether reads that wait share a round to the followers, one at a time, or each has its own at once",
    )
    answering: Distribution = parameter(
        default=0.002, domain=LATENCY, unit="s", about="to read the state and answer, once that is allowed"
    )
    apply_lag: Distribution = parameter(
        default=0.002, domain=LATENCY, unit="s", about="until the follower has applied what the leader had committed"
    )
    pending: float = parameter(
        default=0.01,
        domain=Real(0.0, 1.0, open_low=False, open_high=False),
        symbol="p",
        about="how often a quorum read meets a write of its key under way",
        slider=Slider(0.0, 1.0, 0.01),
    )
    closed_lag: float = parameter(
        default=3.0,
        domain=Real(open_low=False),
        unit="s",
        about="how far the closed timestamp lies behind: the age of a bounded stale read",
        slider=Slider(0.0, 10.0, 0.1),
    )
    lease: float = parameter(
        default=1.0,
        domain=Real(open_low=False),
        unit="s",
        about="how long followers elect nobody else after a heartbeat",
        slider=Slider(0.0, 10.0, 0.1),
    )
    clock_drift: float = parameter(
        default=1.1,
        domain=Real(1.0, open_low=False),
        about="how fast one clock may run against another",
        slider=Slider(1.0, 2.0, 0.05),
    )
    heartbeat: float = parameter(
        default=0.1,
        domain=Real(),
        unit="s",
        symbol="H",
        about="time between the leader's heartbeats, which renew the lease",
        slider=Slider(0.001, 10.0, 0.1, log=True),
    )

    @property
    def replicas(self) -> int:
        """n, the leader among them."""
        return len(self.follower_rtts) + 1

    @property
    def acknowledgements(self) -> int:
        """m, how many followers make a majority with the leader."""
        return self.replicas // 2

    @property
    def returns(self) -> str:
        """What such a read can return, in a sentence."""
        return RETURNS[self.way]
