"""Whether webhooks may reach this machine's own addresses where nothing is set: only while nothing leaves it."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from chappe.observability.logs import get_logger
from chappe.store import carriers

if TYPE_CHECKING:
    from chappe.core.carrier_config import Carrier
    from chappe.store.database import Database

log = get_logger("chappe.notify")

Private = bool | tuple[IPv4Network | IPv6Network, ...]


class Automatic:
    """What is allowed by itself, asked before each call: `allowed`, or nothing.

    mark: the file that is there once a request came through an undeclared proxy. playground: demo mode, in which a
    carrier elsewhere changes nothing; without it, a node that has one serves customers. Before refresh() nothing is
    allowed.
    """

    def __init__(self, allowed: Private, mark: Path, *, playground: bool) -> None:
        self._allowed = allowed
        self._mark = mark
        self._playground = playground
        self._alone = False
        self._marked = False

    def __call__(self) -> Private:
        return self._allowed if self._alone and not self._marked else False

    def look(self) -> None:
        """Looks for the mark: to be called after webhooks were claimed and before the first of them is told.

        The mark of a request is made before its webhooks are stored, so a look after the claim cannot miss it. One
        look serves the whole claim, because a system call for each webhook would be a thirtieth of its cost.
        """
        if not self._marked and self._mark.exists():
            self._marked = True
            log.warning("private_webhooks_end", why="a request came through a proxy that is not declared")

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
