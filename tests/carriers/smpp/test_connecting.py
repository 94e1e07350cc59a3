"""Reaching a carrier over TLS that does not play along: ending takes bounded time."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from pathlib import Path
from time import monotonic

import pytest

from chappe.carriers.smpp import connecting
from chappe.smpp.profile import profile

pytestmark = pytest.mark.asyncio


async def test_a_carrier_that_never_ends_its_side_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connecting, "TLS_SHUTDOWN_S", 0.3)
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-keyout", key, "-out", certificate, "-subj", "/CN=smsc.test", "-addext", "subjectAltName=DNS:smsc.test"],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    class Deaf(asyncio.Protocol):
        """Shakes hands, then reads no more: it never sees that the other side wants to end."""

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            made.append(transport)
            transport.pause_reading()

    made: list[asyncio.Transport] = []
    server = await asyncio.get_running_loop().create_server(Deaf, "127.0.0.1", 0, ssl=context)
    async with server:
        port = server.sockets[0].getsockname()[1]
        reached = profile("generic", {"tls": "yes", "tls_ca_file": str(certificate), "tls_server_name": "smsc.test"})
        wire = await connecting.connect("127.0.0.1", port, reached, 10, lambda wire, events: None)
        wire.session.close("enough")
        wire.flush()
        began = monotonic()
        await asyncio.wait_for(wire.gone.wait(), 60)
        assert monotonic() - began < 3
        for transport in made:
            transport.abort()
        await asyncio.sleep(0)
