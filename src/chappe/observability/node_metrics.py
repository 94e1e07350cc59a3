"""What the processes of one node have counted: each tells its own on a unix socket, and whoever is asked gathers all.

The sockets are in a folder of the node's supervisor that nobody else may enter. A process that has died is missing
until another has taken its name; its counts begin again at nought, as every reader of counters expects.
"""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import msgspec

from chappe.observability.metrics import Snapshot, metrics

ASK_S = 1.0
SNAPSHOT_OCTETS_MAX = 4 * 1024 * 1024
_SUFFIX = ".counts"


class Teller:
    """Tells this process's counts to the others of its node until close()."""

    def __init__(self, folder: Path, process: str) -> None:
        self._path = folder / f"{process}{_SUFFIX}"
        self._process = process
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Raises OSError where the socket cannot be made."""
        self._path.unlink(missing_ok=True)  # of the process that had this name before
        self._server = await asyncio.start_unix_server(self._tell, self._path)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._path.unlink(missing_ok=True)

    async def _tell(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(msgspec.json.encode(metrics().snapshot(self._process)))
            await writer.drain()
        except OSError:  # it did not want to know any more
            pass
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


async def gather(folder: Path) -> list[Snapshot]:
    """The counts of every process of the node that answers in time, by name."""
    paths = sorted(folder.glob(f"*{_SUFFIX}"))  # noqa: ASYNC240 - a folder in memory, mostly
    found = await asyncio.gather(*(_ask(path) for path in paths))
    return [snapshot for snapshot in found if snapshot is not None]


async def _ask(path: Path) -> Snapshot | None:
    try:
        async with asyncio.timeout(ASK_S):
            reader, writer = await asyncio.open_unix_connection(path, limit=SNAPSHOT_OCTETS_MAX)
            try:
                octets = await reader.read(-1)
            finally:
                writer.close()
        return msgspec.json.decode(octets, type=Snapshot)
    except (OSError, TimeoutError, msgspec.MsgspecError):  # it has died, or is busy to death
        return None
