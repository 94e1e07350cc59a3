"""Processes: starts those of this node, starts again what dies, ends all in good order.

A child gets its orders as one JSON document, a line, on its standard input, so that no secret stands in its arguments
or its environment. That pipe stays open: its end is the end of the parent, however that one ended, and the child's own.
A child may be started before its orders are known: what it can do without them (import, mostly) it does meanwhile.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from chappe.observability.logs import get_logger

log = get_logger("chappe.supervisor")

RESTART_S_MIN = 0.1
RESTART_S_MAX = 10.0
STEADY_S = 30.0  # a process that lived so long begins again with the shortest delay
STOP_S = 20.0
ORPHAN_S = 2.0  # what a child without a parent may take to end in good order


def die_with_parent(lifeline: int) -> None:
    """In a child, with its orders read: ends it once `lifeline`, the pipe they came by, has ended.

    In good order if that is quick; else at once. Whoever started us may have taken the database along, a next one waits
    for our socket and our lease, and all that we do is made to be killed. A thread, since a busy or a waiting loop must
    not keep us alive.
    """

    def watch() -> None:
        while os.read(lifeline, 4096):
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        threading.Event().wait(ORPHAN_S)
        os._exit(1)

    threading.Thread(target=watch, name="lifeline", daemon=True).start()


@dataclass(slots=True)
class Part:
    """One process to keep running: its name, the orders it is given (None: Supervisor.tell will), and the descriptors
    it inherits. last: it is ended when all others have, since they still talk to it until then."""

    name: str
    orders: bytes | None = None
    descriptors: Sequence[int] = ()
    last: bool = False
    process: asyncio.subprocess.Process | None = None
    started_at: float = 0.0
    delay_s: float = RESTART_S_MIN
    told: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


@dataclass(slots=True)
class Supervisor:
    """Keeps parts running until stop()."""

    module: str
    parts: list[Part] = field(default_factory=list)
    stopping: bool = False

    def start(self, part: Part) -> None:
        """Starts a process and keeps it running."""
        self.parts.append(part)
        if part.orders is not None:
            part.told.set()
        part.task = asyncio.get_running_loop().create_task(self._keep(part), name=part.name)

    def tell(self, part: Part, orders: bytes) -> None:
        """Gives a part that was started without them its orders; it and those after it get the same."""
        part.orders = orders
        part.told.set()

    async def stop(self, drain_s: float = 0.0) -> None:
        """Asks all to end, the last started first, and kills what does not within STOP_S and the time to drain; then
        those that are to end last."""
        self.stopping = True
        for last in (False, True):
            await self._end([part for part in self.parts if part.last is last], STOP_S + drain_s)

    async def _end(self, parts: Sequence[Part], patience_s: float) -> None:
        for part in reversed(parts):
            if part.process is not None and part.process.returncode is None:
                part.process.terminate()
        tasks = [part.task for part in parts if part.task is not None]
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=patience_s)
        for part in parts:
            if late and part.process is not None and part.process.returncode is None:
                log.error("process_killed", process=part.name)
                part.process.kill()
        if late:
            await asyncio.wait(late)

    async def _keep(self, part: Part) -> None:
        loop = asyncio.get_running_loop()
        while not self.stopping:
            part.started_at = loop.time()
            part.process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                self.module,
                part.name,
                str(os.getpid()),
                stdin=asyncio.subprocess.PIPE,
                pass_fds=tuple(part.descriptors),
                # Ctrl-C in the terminal is for the supervisor; it tells the others.
                start_new_session=True,
            )
            if self.stopping:  # it was asked while the process was being made
                part.process.terminate()
            status = await _instructed(part, part.process)
            if self.stopping:
                return
            if loop.time() - part.started_at > STEADY_S:
                part.delay_s = RESTART_S_MIN
            log.error("process_ended", process=part.name, status=status, again_in_s=part.delay_s)
            await asyncio.sleep(part.delay_s)  # the delay of the restart
            part.delay_s = min(part.delay_s * 2, RESTART_S_MAX)


async def _instructed(part: Part, process: asyncio.subprocess.Process) -> int:
    """Gives a process its orders once they are known; its status when it has ended."""
    loop = asyncio.get_running_loop()
    ended, told = loop.create_task(process.wait()), loop.create_task(part.told.wait())
    assert process.stdin is not None
    try:
        await asyncio.wait((ended, told), return_when=asyncio.FIRST_COMPLETED)
        if part.orders is not None and not ended.done():
            process.stdin.write(part.orders + b"\n")
            await process.stdin.drain()
    except OSError:
        log.warning("process_did_not_listen", process=part.name)
    finally:
        told.cancel()
    status = await ended
    process.stdin.close()
    return status
