"""Which addresses may be reached: those that are public, and what the operator allows."""

from __future__ import annotations

import socket
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

Networks = tuple[IPv4Network | IPv6Network, ...]

_NAT64: Final = IPv6Network("64:ff9b::/96")
_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
# Ranges that carry an IPv4 address inside, or lead to a network of their own: nobody's webhook lives there.
# Documentation (RFC 9637) and ORCHIDv2 (RFC 7343) look public to Python.
_TUNNELS: Final = (
    *(IPv6Network("2002::/16"), IPv6Network("2001::/32"), IPv6Network("64:ff9b:1::/48")),
    *(IPv6Network("3fff::/20"), IPv6Network("2001:20::/28")),
)
# Azure's host agent has an address that looks public; so has the nearest 6to4 relay (RFC 7526), whoever runs it.
_NOT_PUBLIC: Final = (IPv4Network("168.63.129.16/32"), IPv4Network("192.88.99.0/24"))


@lru_cache(maxsize=1_024)
def may_reach(address: str, allow_private: bool | Networks, denied: Networks = ()) -> bool:
    """Whether the guard lets a connection to an address pass, as far as the address says.

    Never what is in denied. Public unicast addresses always; others when allow_private is True or one of its networks
    has them in it. An IPv4 address inside an IPv6 one (mapped, NAT64) is judged as what it is; 6to4, Teredo,
    IPv4-compatible addresses and the local NAT64 range are never public.
    """
    given = ip_address(address.partition("%")[0])
    inner = _inner(given)
    if inner.is_multicast or given.is_multicast or _within((given, inner), denied):
        return False
    return _is_allowed((given, inner), allow_private) or _is_public(inner)


def is_own(address: str, allow_private: bool | Networks) -> bool:
    """Whether an address is one of this machine's, and none that the operator allows.

    Services listen there that trust whoever is on the machine; that the address looks public changes nothing. The
    system chooses the address itself as the source of what goes to it; nothing is sent to learn that.
    """
    given = ip_address(address.partition("%")[0])
    inner = _inner(given)
    if _is_allowed((given, inner), allow_private):
        return False
    with socket.socket(socket.AF_INET if inner.version == 4 else socket.AF_INET6, socket.SOCK_DGRAM) as one:
        try:
            one.connect((str(inner), 9))
        except OSError:  # no way there: then there will be none for the call
            return False
        return ip_address(one.getsockname()[0].partition("%")[0]) == inner


_Address = IPv4Address | IPv6Address


def _is_allowed(spellings: tuple[_Address, ...], allow_private: bool | Networks) -> bool:
    return allow_private if isinstance(allow_private, bool) else _within(spellings, allow_private)


def _within(spellings: tuple[_Address, ...], networks: Networks) -> bool:
    return any(one in network for network in networks for one in spellings)


def _inner(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that a mapped (RFC 4291) or NAT64 (RFC 6052) address really leads to."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if not address.is_global or address.is_reserved:
        return False
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC)
    return address in _GLOBAL_UNICAST and not any(address in network for network in _TUNNELS)
