"""Machines on two networks, made of namespaces: switched off, frozen, and cut from either network.

A machine has network, process, host name, mount and IPC namespaces of its own, so that its processes are strangers to
those of the others, and all of them die together, as with the power. The networks are bridges of whoever runs this,
which has the address 254 on both: `inside()` says whether that is a network namespace made for it, where nothing can
reach anybody else.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from program import children, lives, until

NETWORKS = {"data": "10.77.1", "open": "10.77.2"}  # between nodes and databases; towards customers and carriers
WANTED = ("unshare", "nsenter", "ip", "setpriv")
_MARK = "--inside"


def why_not() -> str:
    """What this machine lacks for such networks; empty when they can be made."""
    if sys.platform != "linux":
        return "network namespaces are Linux's"
    if os.geteuid() != 0:
        return "making network namespaces needs root"
    missing = [name for name in WANTED if shutil.which(name) is None]
    return f"not installed: {', '.join(missing)} (Debian: iproute2, util-linux)" if missing else ""


def enter() -> None:
    """Runs this program again, alone, in namespaces of its own; returns in there. When it ends, however it ends,
    everything that was started inside ends with it, and the networks are gone."""
    if _MARK in sys.argv:
        sys.argv.remove(_MARK)
        return
    own = ["unshare", "--net", "--pid", "--mount", "--mount-proc", "--fork", "--kill-child=KILL"]
    inside = subprocess.Popen([*own, sys.executable, *sys.argv, _MARK])
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: inside.kill())  # unshare itself hears none of them
    sys.exit(inside.wait())


class NoSuchLink(Exception):
    """There is no such cable."""


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, timeout=20)
    if "Cannot find device" in done.stderr:
        raise NoSuchLink(words)
    assert done.returncode == 0, (words, done.stderr)


class Lan:
    """The bridges; close() ends every machine."""

    def __init__(self) -> None:
        self.machines: list[Machine] = []
        _ip("link", "set", "lo", "up")
        for name, prefix in NETWORKS.items():
            _ip("link", "add", name, "type", "bridge")
            _ip("address", "add", f"{prefix}.254/24", "dev", name)
            _ip("link", "set", name, "up")

    def machine(self, name: str, number: int, networks: Sequence[str]) -> Machine:
        """Another machine, switched on."""
        made = Machine(name, number, networks)
        made.switch_on()
        self.machines.append(made)
        return made

    def close(self) -> None:
        for machine in self.machines:
            machine.switch_off()


class Machine:
    """One machine. number: the last octet of its addresses."""

    def __init__(self, name: str, number: int, networks: Sequence[str]) -> None:
        self.name = name
        self.number = number
        self.networks = tuple(networks)
        self._holder: subprocess.Popen[str] | None = None
        self._first = 0  # its first process, as we see it
        self._doors: list[subprocess.Popen[bytes]] = []  # the nsenter of each program that was started

    def address(self, network: str) -> str:
        return f"{NETWORKS[network]}.{self.number}"

    @property
    def is_on(self) -> bool:
        return self._holder is not None

    def switch_on(self) -> None:
        """Makes the namespaces and plugs the machine into its networks."""
        assert self._holder is None
        words = f"hostname {self.name} && ip link set lo up && echo on && exec sleep infinity"
        own = ["unshare", "--net", "--uts", "--ipc", "--pid", "--mount", "--mount-proc", "--fork", "--kill-child=KILL"]
        self._holder = subprocess.Popen(
            [*own, "sh", "-c", words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == "on\n"
        ((self._first, _),) = children(self._holder.pid)
        for network in self.networks:
            ours, theirs = self._ends(network)
            _ip("link", "add", ours, "type", "veth", "peer", "name", theirs, "netns", str(self._first))
            self._within("ip", "address", "add", f"{self.address(network)}/24", "dev", theirs)
            self._within("ip", "link", "set", theirs, "up")
            _ip("link", "set", ours, "up")
            self.mend(network)

    def switch_off(self) -> None:
        """The power fails: no process has a last word, and no connection is closed, since the cables go first."""
        if self._holder is None:
            return
        for network in self.networks:
            self.cut(network)
        below = self._processes()
        self._wake_doors()
        os.kill(self._first, signal.SIGKILL)
        self._holder.wait()
        until(lambda: not any(map(lives, below)), f"the processes of {self.name} to be gone")
        for network in self.networks:
            cable = self._ends(network)[0]
            with contextlib.suppress(NoSuchLink):  # the kernel takes a cable along with its other end, a little later
                _ip("link", "delete", cable)
        self._holder = None

    def end(self, timeout_s: float = 60.0) -> None:
        """Asks what was started here to end in good order, and waits for it."""
        for door in self._doors:
            if door.poll() is None:
                for process_id, _ in children(door.pid):
                    os.kill(process_id, signal.SIGTERM)
                status = door.wait(timeout_s)
                assert status == 0, f"{self.name} ended with {status}"

    def kill(self) -> None:
        """All processes die at once, and the kernel closes their connections; the machine stays on."""
        below = self._processes()
        for process_id in below:
            with contextlib.suppress(ProcessLookupError):  # its parent was quicker to end it
                os.kill(process_id, signal.SIGKILL)
        until(lambda: not any(map(lives, below)), f"the processes of {self.name} to die")

    def freeze(self) -> None:
        """No process runs, the kernel goes on: as a virtual machine or a container that is paused."""
        for process_id in self._processes():
            os.kill(process_id, signal.SIGSTOP)

    def thaw(self) -> None:
        for process_id in self._processes():
            os.kill(process_id, signal.SIGCONT)
        self._wake_doors()

    def cut(self, network: str) -> None:
        """Nothing passes in either direction, and nobody is told."""
        _ip("link", "set", self._ends(network)[0], "nomaster")

    def mend(self, network: str) -> None:
        _ip("link", "set", self._ends(network)[0], "master", network)

    def start(
        self, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Starts a program on the machine; its words are added to `log`."""
        with log.open("ab") as written:
            door = subprocess.Popen(
                [*self._door(), *command],
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=subprocess.STDOUT,
                env=dict(environment) if environment is not None else None,
                start_new_session=True,
            )
        self._doors.append(door)
        return door

    def run(self, *command: str, timeout_s: float = 120.0) -> str:
        """Runs a program on the machine to its end; gives what it printed."""
        done = subprocess.run([*self._door(), *command], capture_output=True, text=True, timeout=timeout_s)
        assert done.returncode == 0, (self.name, command, done.stdout[-2000:], done.stderr[-2000:])
        return done.stdout

    def _wake_doors(self) -> None:
        """nsenter stops with what it has started, and would not see that it ends."""
        for door in self._doors:
            if door.poll() is None:
                door.send_signal(signal.SIGCONT)

    def _processes(self) -> list[int]:
        """The living processes of the machine, but for the one that keeps its namespaces."""
        own = os.readlink(f"/proc/{self._first}/ns/pid")
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != self._first and lives(int(entry.name)):
                with contextlib.suppress(OSError):
                    if os.readlink(entry / "ns" / "pid") == own:
                        found.append(int(entry.name))
        return found

    def _ends(self, network: str) -> tuple[str, str]:
        """The names of a cable's ends: ours in the bridge, and the machine's own."""
        return f"{self.name}-{network}", f"to-{network}"

    def _within(self, *command: str) -> None:
        done = subprocess.run(
            ["nsenter", "--target", str(self._first), "--net", *command], capture_output=True, text=True, timeout=20
        )
        assert done.returncode == 0, (command, done.stderr)

    def _door(self) -> list[str]:
        assert self._holder is not None, f"{self.name} is off"
        return ["nsenter", "--target", str(self._first), "--net", "--uts", "--ipc", "--pid", "--mount", "--"]
