"""Which addresses may be reached: those that are public, and what the operator allows."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

Networks = tuple[IPv4Network | IPv6Network, ...]

_NAT64: Final = IPv6Network("64:ff9b::/96")
_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
# Ranges that carry an IPv4 address inside, or lead to a network of their own: nobody's webhook lives there.
_TUNNELS: Final = (IPv6Network("2002::/16"), IPv6Network("2001::/32"), IPv6Network("64:ff9b:1::/48"))
# Azure's host agent has an address that looks public.
_CLOUD_AGENTS: Final = (IPv4Network("168.63.129.16/32"),)


@lru_cache(maxsize=1_024)
def may_reach(address: str, allow_private: bool | Networks) -> bool:
    """Whether the guard lets a connection to an address pass.

    Public unicast addresses always; others when allow_private is True or one of its networks has them in it. An IPv4
    address inside an IPv6 one (mapped, NAT64) is judged as what it is; 6to4, Teredo, IPv4-compatible addresses and the
    local NAT64 range are never public.
    """
    given = ip_address(address.partition("%")[0])
    inner = _inner(given)
    if inner.is_multicast or given.is_multicast:
        return False
    if allow_private is True:
        return True
    if allow_private is not False and any(one in network for network in allow_private for one in (given, inner)):
        return True
    return _is_public(inner)


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
        return not any(address in network for network in _CLOUD_AGENTS)
    return address in _GLOBAL_UNICAST and not any(address in network for network in _TUNNELS)
