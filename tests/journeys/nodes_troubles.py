"""What happens to nodes_cluster.py: each method is a trouble from its beginning to its end, and gives who met it."""

from __future__ import annotations

from pathlib import Path
from threading import Event

from nodes_cluster import CALM_S, Cluster
from nodes_lan import Machine
from program import until

HOLD_S = 20.0  # how long a machine is cut off or frozen: three times as long as a lease
LONG_S = 45.0
AWAY_S = 8.0


class Troubles(Cluster):
    """A cluster, and what may happen to it."""

    def __init__(self, folder: Path, rate: float, seed: int) -> None:
        super().__init__(folder, rate, seed)
        self.old_primary_sessions = 0

    def kill_worker(self) -> str:
        """The worker's processes die at once; its service manager starts it again."""
        machine = self._driving()
        machine.kill()
        hold(AWAY_S)
        self._serve(machine)
        return machine.name

    def restart_worker(self) -> str:
        """As for an upgrade: in good order."""
        machine = self._driving()
        machine.end()
        self._serve(machine)
        return machine.name

    def restart_api(self) -> str:
        """As for an upgrade: in good order, and no customer may notice."""
        machine = self.chance.choice(self.api)
        machine.end()
        self._serve(machine)
        return machine.name

    def kill_api(self) -> str:
        machine = self.chance.choice(self.api)
        machine.kill()
        hold(AWAY_S)
        self._serve(machine)
        return machine.name

    def switch_off_worker(self) -> str:
        """The power of the worker's machine fails: nobody hears a last word."""
        machine = self._driving()
        self._power(machine)
        return machine.name

    def switch_off_api(self) -> str:
        machine = self.chance.choice(self.api)
        self._power(machine)
        return machine.name

    def _power(self, machine: Machine) -> None:
        machine.switch_off()
        hold(AWAY_S)
        machine.switch_on()
        self._serve(machine)

    def cut_worker_from_database(self) -> str:
        """It still reaches the carrier: it must not send what another has taken over."""
        return self._cut(self._driving(), ["data"])

    def cut_worker_from_all(self) -> str:
        return self._cut(self._driving(), ["data", "open"])

    def cut_worker_from_carrier(self) -> str:
        return self._cut(self._driving(), ["open"])

    def cut_api_from_database(self) -> str:
        """Customers still reach it: it must refuse, soon, and say yes to nothing. Those whose commit was under way
        are answered last, so as not to be told what is wrong: longer than that it lasts."""
        return self._cut(self.chance.choice(self.api), ["data"], LONG_S)

    def cut_api_from_all(self) -> str:
        return self._cut(self.chance.choice(self.api), ["data", "open"])

    def cut_carrier(self) -> str:
        return self._cut(self.smsc, ["open"])

    def cut_standby(self) -> str:
        """No commit may be answered while the standby cannot have it; the nodes live through it."""
        return self._cut(self.pair.standby, ["data"], AWAY_S)

    def freeze_worker(self) -> str:
        """It wakes up with a lease that is another's, and must know."""
        machine = self._driving()
        machine.freeze()
        hold(HOLD_S)
        machine.thaw()
        return machine.name

    def freeze_api(self) -> str:
        machine = self.chance.choice(self.api)
        machine.freeze()
        hold(HOLD_S)
        machine.thaw()
        return machine.name

    def _cut(self, machine: Machine, networks: list[str], seconds: float = HOLD_S) -> str:
        for network in networks:
            machine.cut(network)
        hold(seconds)
        for network in networks:
            machine.mend(network)
        return machine.name

    def lose_primary(self) -> str:
        """The primary's power fails; the standby is promoted, as an operator or his tool does after a few seconds."""
        lost = self.pair.primary
        lost.switch_off()
        hold(3.0)
        self.pair.promote()
        return lost.name

    def isolate_primary(self) -> str:
        """The primary lives, and nobody reaches it: fenced off by its power, then the standby is promoted."""
        lost = self.pair.primary
        lost.cut("data")
        hold(10.0)
        lost.switch_off()
        self.pair.promote()
        return lost.name

    def meet_old_primary(self) -> str:
        """What nobody should do: the standby is promoted while the old primary lives on, and that one comes back. Nodes
        that start just then must not work with it."""
        old = self.pair.primary
        old.cut("data")
        hold(AWAY_S)
        self.pair.promote()
        hold(AWAY_S)
        old.mend("data")
        for machine in (self.chance.choice(self.api), self.chance.choice(self.work)):
            machine.end()
            self._serve(machine)
        hold(HOLD_S)
        (found,) = self.pair.ask_of(
            old,
            f"""select count(*) as sessions from pg_stat_activity where usename = 'chappe'
                and backend_start > now() - make_interval(secs => {HOLD_S})
                and backend_start < now() - make_interval(secs => 3)""",  # what was cut hangs, what looks goes at once
        )
        self.old_primary_sessions = found["sessions"]
        old.switch_off()
        return old.name

    def skew_clocks(self) -> str:
        """The clocks of the nodes differ by seconds, then by minutes. A worker dies meanwhile: what it left in doubt is
        sent again by another node's clock."""
        if not self.clocks:
            return "no compiler for a clock"
        nodes = self.chance.sample([*self.api, *self.work], 4)
        for shifts in ((5, -5, 2, 0), (60, -60, 25, -5)):
            for machine, seconds in zip(nodes, shifts, strict=True):
                self.clocks[machine.name].shift(seconds)
            hold(AWAY_S)
            self.kill_worker()
            until(self._binds_are_up, "the binds to be up", CALM_S)
        for machine in nodes:
            self.clocks[machine.name].shift(0)
        return ", ".join(machine.name for machine in nodes)

    def rebuild_standby(self) -> str:
        """The machine that was lost comes back, as the standby of the one that took over."""
        back = self.pair.standby
        back.switch_on()
        self.pair.rebuild()
        return back.name


def hold(seconds: float) -> None:
    """How long a trouble lasts: part of what is tried, not a wait for anything."""
    Event().wait(seconds)


SCENARIOS = (
    *("restart_worker", "restart_api"),
    *("kill_worker", "kill_api", "switch_off_worker", "switch_off_api", "cut_worker_from_database"),
    *("cut_worker_from_all", "cut_worker_from_carrier", "cut_api_from_database", "cut_api_from_all", "cut_carrier"),
    *("freeze_worker", "freeze_api", "cut_standby", "skew_clocks"),
)
LAST = (
    *("lose_primary", "rebuild_standby", "isolate_primary", "rebuild_standby"),
    *("meet_old_primary", "rebuild_standby"),
)
