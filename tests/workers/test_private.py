"""Webhooks to this machine's own addresses: allowed by themselves only while nothing leaves the machine."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from shop import opened

from chappe.workers.private import Automatic

if TYPE_CHECKING:
    from chappe.embedded.server import ConnectionParameters

pytestmark = pytest.mark.asyncio

OWN = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


@pytest.mark.parametrize(
    ("hosts", "allowed"),
    [
        ([], OWN),
        (["127.0.0.1"], OWN),
        (["127.9.9.9", "localhost", "::1"], OWN),
        (["smpp.example.net"], False),
        (["127.0.0.1", "192.168.1.2"], False),
        (["10.0.0.1"], False),
        (["localhost.example.net"], False),
    ],
)
async def test_a_carrier_elsewhere_ends_it(
    database: ConnectionParameters, tmp_path: Path, hosts: list[str], allowed: object
) -> None:
    async with opened(database) as shop:
        private = Automatic(OWN, tmp_path / "mark", playground=False)
        assert private() is False, "nothing is allowed before anything is known"
        for number, host in enumerate(hosts):
            await shop.carrier(f"carrier-{number}", host=host)
        await private.refresh(shop.database)
        assert private() == allowed
        playing = Automatic(True, tmp_path / "mark", playground=True)
        await playing.refresh(shop.database)
        assert playing() is True, "in demo mode it does not"


async def test_a_proxy_ends_it_for_good(database: ConnectionParameters, tmp_path: Path) -> None:
    async with opened(database) as shop:
        for playground in (False, True):
            private = Automatic(OWN, tmp_path / "mark", playground=playground)
            await private.refresh(shop.database)
            assert private() == OWN
            (tmp_path / "mark").touch()
            private.look()
            assert private() is False
            (tmp_path / "mark").unlink()
            private.look()
            await private.refresh(shop.database)
            assert private() is False
