"""Requests that came through a proxy which nobody declared: noticed, told once, counted, and kept from local things.

Whoever listens on loopback behind a reverse proxy is as public as any, and cannot know it but by what proxies add to
requests.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from chappe.core.http import Response
from chappe.observability.logs import get_logger
from chappe.observability.metrics import metrics
from chappe.store import notices
from chappe.store.database import CONNECTION_ERRORS, Database, DatabaseError
from chappe.web.client_address import TRACES

log = get_logger("chappe.web")

MARK: Final = "undeclared-proxy"
"""The file in the folder of the node's counts that tells its other processes, before the request is answered."""
PEERS_TOLD_MAX: Final = 16
REFUSAL: Final = Response(
    403,
    "text/plain; charset=utf-8",
    b"This is for people at this machine, and the request came through a proxy that is not declared: "
    b"see trusted_proxies in docs/operators/configuration.md.\n",
)


class Undeclared:
    """What one process does about such requests. counts: the folder that the node's processes share, None without."""

    def __init__(self, database: Database, counts: Path | None) -> None:
        self._database = database
        self._mark = counts / MARK if counts is not None else None
        self._told: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def notice(self, peer: str, headers: Mapping[str, str]) -> None:
        """Such a request is about to be answered.

        One from an address of this machine or of a private network came through a proxy of the operator's. One from a
        public address may have come through a proxy of the customer's own, which is no fault.
        """
        ours = _is_private(peer)
        metrics().count("chappe_undeclared_proxy_requests_total", peer="private" if ours else "public")
        if not ours or peer in self._told or len(self._told) >= PEERS_TOLD_MAX:
            return
        self._told.add(peer)
        if self._mark is not None:
            self._mark.touch()
        header = min(TRACES.intersection(headers))
        log.error(
            "undeclared_proxy",
            peer=peer,
            header=header,
            what="requests come through a proxy that trusted_proxies does not name: customers' addresses are not known,"
            " and what is for people at this machine is refused to them",
        )
        task = asyncio.get_running_loop().create_task(self._keep(f"{header} from {peer}"))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _keep(self, detail: str) -> None:
        try:
            await notices.add(self._database, notices.UNDECLARED_PROXY, detail)
        except (*CONNECTION_ERRORS, DatabaseError) as error:
            log.warning("notice_not_kept", error=type(error).__name__)


def _is_private(peer: str) -> bool:
    try:
        return not ip_address(peer).is_global
    except ValueError:  # no address at all, as of a local socket
        return True
