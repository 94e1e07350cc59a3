"""Whether webhooks may reach this machine's own addresses where nothing is set: only while nothing leaves it."""

from __future__ import annotations

import time
from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Final

from chappe.observability.logs import get_logger
from chappe.store import carriers

if TYPE_CHECKING:
    from collections.abc import Callable

    from chappe.core.carrier_config import Carrier
    from chappe.store.database import Database

log = get_logger("chappe.notify")

LOOK_S: Final = 0.1
"""Between two looks for the mark: a system call for each webhook would be a thirtieth of its cost."""

Private = bool | tuple[IPv4Network | IPv6Network, ...]


class Automatic:
    """What is allowed by itself, asked before each call: `allowed`, or nothing.

    mark: the file that is there once a request came through an undeclared proxy. playground: demo mode, in which a
    carrier elsewhere changes nothing; without it, a node that has one serves customers. Before refresh() nothing is
    allowed. now: a monotonic clock in seconds.
    """

    def __init__(
        self, allowed: Private, mark: Path, *, playground: bool, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._allowed = allowed
        self._mark = mark
        self._now = now
        self._look_at = 0.0  # when the mark is looked for next
        self._playground = playground
        self._alone = False
        self._marked = False

    def __call__(self) -> Private:
        if not self._alone or self._marked:
            return False
        if (now := self._now()) >= self._look_at:
            self._look_at = now + LOOK_S
            if self._mark.exists():
                self._marked = True
                log.warning("private_webhooks_end", why="a request came through a proxy that is not declared")
                return False
        return self._allowed

    async def refresh(self, database: Database) -> None:
        """Looks where the carriers are: at the start and whenever the configuration changes."""
        elsewhere = [carrier.name for carrier in await carriers.all_carriers(database) if not _is_here(carrier)]
        alone = self._playground or not elsewhere
        if self._alone and not alone:
            log.warning("private_webhooks_end", why="there is a carrier outside this machine", carrier=elsewhere[0])
        self._alone = alone


def _is_here(carrier: Carrier) -> bool:
    host = carrier.settings.host
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
