"""What answers at an address where no SMPP session came about: a few short connections, each in another protocol.

For the doctor only: a carrier in operation is never tried this way.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import ssl

import msgspec

from chappe.smpp.commands import RESPONSE_BIT, CommandId
from chappe.smpp.header import HEADER
from chappe.smpp.pdu import EnquireLink

TIMEOUT_S = 2.0
"""For each of the connections."""

SAID_MAX = 80
_READ_MAX = 512
_COMMANDS = frozenset(command | bit for command in CommandId for bit in (0, RESPONSE_BIT))
_TLS_RECORDS = range(0x14, 0x18)  # RFC 8446, 5.1; the next octet is 3


class Speaks(enum.StrEnum):
    """What was found."""

    SMPP = "smpp"
    TLS = "tls"
    HTTP = "http"
    OTHER = "other"  # something else: see `said`
    CLOSES = "closes"  # it takes connections, and ends them
    SILENT = "silent"  # it takes connections, and says nothing
    NOTHING = "nothing"  # no connection


class PortCheck(msgspec.Struct, frozen=True):
    """said: the first line of what is neither SMPP nor TLS, made printable."""

    speaks: Speaks
    said: str = ""


async def check(host: str, port: int) -> PortCheck:
    """Asks in SMPP, then in TLS, then in HTTP, until something answers."""
    timeout_s = TIMEOUT_S
    first = await _ask(host, port, EnquireLink(sequence=1).encode(), timeout_s)
    if first is None:
        return PortCheck(Speaks.NOTHING)
    if first:
        return _classify(first)
    if await _shakes_hands(host, port, timeout_s):
        return PortCheck(Speaks.TLS)
    second = await _ask(host, port, b"GET / HTTP/1.0\r\n\r\n", timeout_s)
    if second:
        return _classify(second)
    return PortCheck(Speaks.SILENT if second is _QUIET else Speaks.CLOSES)


# Both are nothing; which of them `_ask` gave is told by identity.
_QUIET = bytearray()
_ENDED = bytearray()


async def _ask(host: str, port: int, octets: bytes, timeout_s: float) -> bytes | bytearray | None:
    """What comes back first: _ENDED when the peer just ends, _QUIET when nothing comes, None without a connection."""
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(octets)
            return await reader.read(_READ_MAX) or _ENDED
    except TimeoutError:
        return None if writer is None else _QUIET
    except (OSError, UnicodeError):
        return None if writer is None else _ENDED
    finally:
        if writer is not None:
            await _cut(writer)


async def _shakes_hands(host: str, port: int, timeout_s: float) -> bool:
    """Whether TLS is spoken, whoever the peer says that it is: no secret goes over this connection."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        async with asyncio.timeout(timeout_s):
            _, writer = await asyncio.open_connection(host, port, ssl=context)
    except (OSError, TimeoutError, UnicodeError):  # ssl.SSLError is an OSError
        return False
    await _cut(writer)
    return True


async def _cut(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()
    with contextlib.suppress(OSError):  # what the connection ended with
        await writer.wait_closed()


def _classify(octets: bytes | bytearray) -> PortCheck:
    said = octets.split(b"\n", 1)[0].decode("latin-1").strip()
    line = "".join(character if character.isprintable() else "." for character in said)[:SAID_MAX]
    if octets.startswith(b"HTTP/"):
        return PortCheck(Speaks.HTTP, line)
    if len(octets) >= 2 and octets[0] in _TLS_RECORDS and octets[1] == 3:
        return PortCheck(Speaks.TLS)
    if len(octets) >= HEADER.size and HEADER.unpack_from(octets)[1] in _COMMANDS:
        return PortCheck(Speaks.SMPP)
    return PortCheck(Speaks.OTHER, line)
