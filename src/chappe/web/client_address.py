"""Who is at the other end: the socket's peer, or the address that a trusted proxy vouches for."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

_IPV6_PREFIX_BITS: Final = 64  # what one subscriber has to himself

# What proxies and content networks add to the requests that they pass on.
TRACES: Final = frozenset(
    (
        *("x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-port", "x-forwarded-server"),
        *("x-forwarded-by", "x-original-forwarded-for", "forwarded", "via", "x-real-ip", "x-client-ip", "client-ip"),
        *("x-cluster-client-ip", "true-client-ip", "cf-connecting-ip", "fastly-client-ip", "x-envoy-external-address"),
        *("x-proxyuser-ip", "cdn-loop"),
        # Those that set fields for the scheme, the path, the user or the request only.
        *("x-forwarded-ssl", "x-forwarded-prefix", "x-forwarded-path", "x-forwarded-uri", "x-forwarded-method"),
        *("x-forwarded-user", "x-forwarded-scheme", "x-forwarded-client-cert", "x-forwarded", "forwarded-for"),
        *("x-scheme", "x-url-scheme", "front-end-https", "x-original-proto", "x-original-uri", "x-original-host"),
        *("x-original-url", "x-rewrite-url", "x-real-port", "x-remote-addr", "x-remote-ip", "x-originating-ip"),
        *("x-request-start", "x-queue-start", "x-envoy-decorator-operation", "x-envoy-expected-rq-timeout-ms"),
        *("x-amz-cf-id", "cf-ray", "cf-visitor", "cf-ipcountry", "fly-client-ip", "x-azure-ref"),
        *("x-azure-clientip", "x-arr-log-id", "x-appengine-user-ip", "x-vercel-id"),
        *("x-varnish", "tailscale-user-login", "tailscale-headers-info", "x-nginx-proxy", "x-traefik-router"),
    )
)

Networks = tuple[IPv4Network | IPv6Network, ...]


def peer_address(name: object) -> str:
    """The address in a socket's peer name, with IPv4 always in its own form; empty when there is none."""
    if not (isinstance(name, tuple) and name and isinstance(name[0], str)):
        return ""
    address = _address(name[0])
    return name[0] if address is None else str(address)


def is_trusted(peer: str, trusted: Networks) -> bool:
    """Whether a peer is one of the proxies whose X-Forwarded-For is believed."""
    address = _address(peer) if trusted else None
    return address is not None and any(address in network for network in trusted)


def original(peer: str, forwarded: str, trusted: Networks) -> str:
    """The client behind trusted proxies: the last address of X-Forwarded-For that is none of theirs.

    Everything left of it was written by somebody who is not trusted. An entry that is no address ends the search: what
    is right of it is the last that is known.
    """
    known = peer
    for entry in reversed(forwarded.split(",")):
        address = _address(entry)
        if address is None:
            break
        known = str(address)
        if not any(address in network for network in trusted):
            break
    return known


@lru_cache(maxsize=4_096)
def _address(text: str) -> IPv4Address | IPv6Address | None:
    """An address with or without port, brackets or zone, as proxies write it; None when it is none."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if mapped is None else mapped


@lru_cache(maxsize=4_096)
def place_of(remote: str) -> str:
    """An address as it is counted: of IPv6 the network, since a subscriber has 2^64 addresses of one."""
    address = _address(remote)
    if isinstance(address, IPv6Address):
        return str(ip_network((address, _IPV6_PREFIX_BITS), strict=False))
    return remote if address is None else str(address)
