"""What a consensus leader does for a command, and what that lets it do: messages, bytes, work, and their bounds."""

from __future__ import annotations

import functools
import math

from scaling_models.answers import Model, answer
from scaling_models.domains import Choice, Integer, Real
from scaling_models.latency import LATENCY, Distribution, LogNormal
from scaling_models.parameters import Slider, parameter
from scaling_models.quorums.formulas import leader_load
from scaling_models.quorums.formulas.leader_load import Work
from scaling_models.wording import short

EACH, ONCE, THRIFTY = "each its own", "serialised once", "thrifty"


class Leader(Model):
    """Base of models of one leader and of its node: its parameters, and what follows from them without any chance."""

    members: int = parameter(
        default=5, domain=Integer(2, 31), symbol="n", about="members of the group", slider=Slider(3, 9, 1)
    )
    arrival_rate: float = parameter(
        default=5000.0,
        domain=Real(),
        unit="commands/s",
        symbol="λ",
        about="commands a second",
        slider=Slider(100.0, 100_000.0, 0.02, log=True),
    )
    request_work: float = parameter(
        default=50e-6,
        domain=Real(open_low=False),
        unit="s",
        about="the leader's processor time on a command itself",
        slider=Slider(0.0, 500e-6, 5e-6),
    )
    receive_work: float = parameter(
        default=10e-6,
        domain=Real(open_low=False),
        unit="s",
        about="processor time to receive a message",
        slider=Slider(0.0, 100e-6, 1e-6),
    )
    send_work: float = parameter(
        default=5e-6,
        domain=Real(open_low=False),
        unit="s",
        about="processor time to send a message",
        slider=Slider(0.0, 100e-6, 1e-6),
    )
    broadcast: str = parameter(
        default=EACH,
        domain=Choice((EACH, ONCE, THRIFTY)),
        about="whether each follower's message is made anew, all are made at once, or only a bare quorum is asked",
    )
    command_bytes: float = parameter(
        default=1000.0,
        domain=Real(open_low=False),
        unit="bytes",
        about="a command on the wire, to each follower",
        slider=Slider(100.0, 1e6, 0.1, log=True),
    )
    bandwidth: float = parameter(
        default=1.25e9,
        domain=Real(),
        unit="bytes/s",
        about="of the leader's network card",
        slider=Slider(1e7, 1.25e10, 0.1, log=True),
    )
    round_trip: Distribution = parameter(
        default=LogNormal(0.002, 0.25),
        domain=LATENCY,
        unit="s",
        symbol="X",
        about="to a follower and back, its own work and disk included",
    )
    fsync: float = parameter(
        default=0.001,
        domain=Real(),
        unit="s",
        symbol="D",
        about="a disk write of the leader, which takes all commands that wait",
        slider=Slider(1e-5, 0.1, 0.1, log=True),
    )
    flush_size: int = parameter(
        default=1000,
        domain=Integer(1, 10**6),
        unit="commands",
        symbol="B",
        about="most commands in one disk write",
        slider=Slider(1, 10_000, 1),
    )
    clients: int = parameter(
        default=100,
        domain=Integer(1, 10**6),
        unit="clients",
        symbol="C",
        about="clients of a closed loop, each with one command at a time, for the bound on what they can do",
        slider=Slider(1, 1000, 1),
    )
    groups: int = parameter(
        default=1000,
        domain=Integer(1, 10**7),
        unit="groups",
        about="groups whose members share the nodes",
        slider=Slider(1, 10_000, 1),
    )
    leader_share: float = parameter(
        default=0.2,
        domain=Real(0.0, 1.0, open_low=False, open_high=False),
        about="share of the groups that the busiest node leads: 1/n where leaders are spread evenly",
        slider=Slider(0.0, 1.0, 0.05),
    )
    heartbeat: float = parameter(
        default=0.1,
        domain=Real(),
        unit="s",
        symbol="H",
        about="time between the heartbeats of each group",
        slider=Slider(0.001, 10.0, 0.1, log=True),
    )

    def _check(self) -> None:
        if not math.isfinite(self.round_trip.mean()):
            raise ValueError(f"LeaderLoad.round_trip must have a finite mean; got {short(self.round_trip)}")
        if self._work.request <= 0.0:
            raise ValueError(
                "LeaderLoad.request_work must lie above 0 s where a command needs neither processor nor wire; "
                f"got {short(self.request_work)}"
            )

    @property
    def needed(self) -> int:
        """m, acknowledgements that make a majority with the leader."""
        return self.members // 2

    @property
    def asked(self) -> int:
        """k, followers that a command is sent to."""
        return self.needed if self.broadcast == THRIFTY else self.members - 1

    @functools.cached_property
    def _work(self) -> Work:
        sends = 1 if self.broadcast == ONCE else self.asked
        wire = self.asked * self.command_bytes / self.bandwidth
        request = self.request_work + self.receive_work + sends * self.send_work + wire
        return Work(request, self.receive_work, self.asked, self.send_work)

    @answer("s", "the leader's time on a command")
    def work(self) -> float:
        """s = R + k A + reply."""
        return self._work.whole

    @answer("", "share of its time that the leader's thread is busy; above 1 it falls behind")
    def utilization(self) -> float:
        """lambda s."""
        return self.arrival_rate * self.work

    @answer("messages", "messages that the leader receives and sends a command, the client's among them")
    def messages(self) -> float:
        """2 (k + 1): 2n, or 2q where only a quorum q is asked."""
        return float(leader_load.leader_messages(self.members, self.asked))

    @answer("bytes", "what the leader sends and receives a command, acknowledgements and replies not counted")
    def traffic(self) -> float:
        """(k + 1) bytes: in once, out to each follower that is asked."""
        return (self.asked + 1.0) * self.command_bytes

    @answer("commands/s", "what the processor could do if it had nothing to wait for")
    def processor_bound(self) -> float:
        """1 / (s less the time on the wire)."""
        computes = self.work - self.asked * self.command_bytes / self.bandwidth
        return 1.0 / computes if computes > 0.0 else math.inf

    @answer("commands/s", "what the network card could send")
    def network_bound(self) -> float:
        """bandwidth / (k bytes)."""
        sent = self.asked * self.command_bytes
        return self.bandwidth / sent if sent else math.inf

    @answer("commands/s", "what the disk could write")
    def disk_bound(self) -> float:
        """B / D."""
        return self.flush_size / self.fsync

    @answer("commands/s", "most commands that this leader can take: the thread that computes and sends, or the disk")
    def throughput_bound(self) -> float:
        """min(1 / s, B / D)."""
        return min(1.0 / self.work, self.disk_bound)

    @property
    def binds(self) -> str:
        """What keeps the leader from more: "processor", "network" or "disk"."""
        if self.disk_bound < 1.0 / self.work:
            return "disk"
        return "network" if self.network_bound < self.processor_bound else "processor"

    @answer("", "share of its time that a follower's thread is busy, of this group alone")
    def follower_utilization(self) -> float:
        """Receiving the command and sending the acknowledgement, as often as it is asked."""
        return self.arrival_rate * self._follower_work * self.asked / (self.members - 1)

    @property
    def _follower_work(self) -> float:
        return self.receive_work + self.send_work

    @answer("commands/s", "most commands of all groups together, where the busiest node leads `leader_share` of them")
    def groups_bound(self) -> float:
        """1 / (share s + (1 - share) a follower's work)."""
        asked = self.asked / (self.members - 1)
        return 1.0 / float(leader_load.node_work(self.work, self._follower_work, self.leader_share, asked))

    @answer("messages/s", "heartbeats and their answers at the busiest node")
    def heartbeats(self) -> float:
        """2 groups (share (n - 1) + 1 - share) / H."""
        share = self.leader_share
        return 2.0 * self.groups * (share * (self.members - 1) + 1.0 - share) / self.heartbeat
