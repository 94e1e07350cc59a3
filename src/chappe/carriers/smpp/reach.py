"""Where an SMPP carrier is and who we are there: read from what an operator writes, and checked. Pure."""

from __future__ import annotations

import re
from typing import Final

from chappe.carriers.kind import Given
from chappe.core.carrier_config import CarrierSettings
from chappe.smpp.fields import LONG_OCTETS_MAX
from chappe.smpp.profile import profile

HOST_CHARACTERS_MAX: Final = 253

# A name or an IPv4 address has no colon, an IPv6 address two at least.
_HOST: Final = re.compile(
    r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]*:[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*(%[A-Za-z0-9._-]+)?", re.ASCII
).fullmatch


def complete(given: Given, before: CarrierSettings | None) -> CarrierSettings:
    """Checked settings; what is None comes from the profile, the port from a host written `host:port` or from before.
    Raises ValueError."""
    for option, value in (("--host", given.host), ("--system-id", given.system_id)):
        if not value:
            raise ValueError(f"missing option {option}")
    host, port = _address(given.host, given.port, None if before is None else before.port)
    built = profile(given.profile or "generic", given.settings)
    settings = CarrierSettings(
        host=host,
        port=port,
        system_id=given.system_id,
        password=given.password,
        window=built.window if given.window is None else given.window,
        rate=built.rate_per_s if given.rate is None else given.rate,
        binds=built.binds if given.binds is None else given.binds,
        profile=given.profile,
        settings=dict(given.settings),
    )
    _check(settings)
    return settings


def _address(host: str, port: int | None, port_before: int | None) -> tuple[str, int]:
    """Host and port, of which the host may hold both: `host:port`, `[::1]:2775`; the brackets of an address go."""
    name, colon, digits = host.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif colon and digits.isascii() and digits.isdecimal() and (":" not in name or name.endswith("]")):
        written = int(digits[:6])
        if port is not None and port != written:
            raise ValueError(f"host: {host[:60]!r} names another port than {port}")
        host, port = name.removeprefix("[").removesuffix("]"), written
    if port is None:
        port = port_before
    if port is None:
        raise ValueError("missing option --port: write the port of the SMSC, such as 2775")
    return host, port


def _check(settings: CarrierSettings) -> None:
    if len(settings.host) > HOST_CHARACTERS_MAX or not _HOST(settings.host):
        raise ValueError(f"{settings.host[:60]!r} is no host name or address")
    if not 1 <= settings.port <= 65_535:
        raise ValueError("port: expected 1 to 65535")
    if not settings.system_id.isascii() or not settings.password.isascii():
        raise ValueError("system_id and password: expected ASCII (SMPP 3.4, 3.1)")
    # The standard has 15 and 8 octets (SMPP 3.4, 4.1.1), but many carriers hand out longer ones.
    if not 1 <= len(settings.system_id) <= LONG_OCTETS_MAX or not settings.system_id.isprintable():
        raise ValueError(f"system_id: expected 1 to {LONG_OCTETS_MAX} printable characters")
    if len(settings.password) > LONG_OCTETS_MAX or not settings.password.isprintable():
        raise ValueError(f"password: expected at most {LONG_OCTETS_MAX} printable characters")
