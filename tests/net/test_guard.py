"""The guard: which addresses are public, in all their spellings, and what the operator may open."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.net.guard import is_own, may_reach


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:4700::1111", True),
        ("::ffff:93.184.216.34", True),
        ("64:ff9b::5db8:d822", True),  # NAT64 of a public address
        ("127.0.0.1", False),
        ("127.255.0.3", False),
        ("0.0.0.0", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("100.100.100.200", False),
        ("168.63.129.16", False),
        ("192.0.2.7", False),
        ("198.18.0.1", False),
        ("224.0.0.1", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("::127.0.0.1", False),
        ("::93.184.216.34", False),  # IPv4-compatible: long dead
        ("64:ff9b::7f00:1", False),
        ("64:ff9b::a9fe:a9fe", False),
        ("64:ff9b:1::1", False),
        ("2002:7f00:1::1", False),
        ("2002:5db8:d822::1", False),
        ("3fff::1", False),
        ("3fff:fff:ffff::1", False),
        ("2001:20::1", False),
        ("192.88.99.1", False),
        ("64:ff9b::c058:6301", False),
        ("2001:0:5db8:d822::1", False),
        ("2001:db8::1", False),
        ("fe80::1", False),
        ("fe80::1%lo", False),
        ("fec0::1", False),
        ("fc00::1", False),
        ("fd00:ec2::254", False),
        ("ff02::1", False),
        ("4000::1", False),
    ],
)
def test_only_public_unicast_addresses_pass_by_default(address: str, public: bool) -> None:
    assert may_reach(address, False) is public


@pytest.mark.parametrize(
    ("address", "networks", "allowed"),
    [
        ("10.1.2.3", ("10.0.0.0/8",), True),
        ("10.1.2.3", ("192.168.0.0/16", "10.1.0.0/16"), True),
        ("11.0.0.1", ("10.0.0.0/8",), True),
        ("10.1.2.3", ("10.2.0.0/16",), False),
        ("::ffff:10.1.2.3", ("10.0.0.0/8",), True),
        ("::ffff:127.0.0.1", ("10.0.0.0/8",), False),
        ("fd00::5", ("fd00::/64",), True),
        ("fd00:1::5", ("fd00::/64",), False),
        ("224.0.0.1", ("224.0.0.0/4",), False),
    ],
)
def test_named_networks_open_themselves_and_nothing_else(
    address: str, networks: tuple[str, ...], allowed: bool
) -> None:
    assert may_reach(address, tuple(ip_network(one) for one in networks)) is allowed


@given(st.ip_addresses(v=4))
def test_no_spelling_of_an_ipv4_address_in_ipv6_is_judged_more_kindly(address: Any) -> None:
    plain = may_reach(str(address), False)
    assert may_reach(f"::ffff:{address}", False) is plain
    assert may_reach(f"64:ff9b::{address}", False) is plain
    assert not may_reach(f"::{address}", False)


@pytest.mark.parametrize(
    ("address", "denied", "reached"),
    [
        ("203.0.114.5", ["203.0.114.0/24"], False),
        ("::ffff:203.0.114.5", ["203.0.114.0/24"], False),
        ("64:ff9b::cb00:7205", ["203.0.114.0/24"], False),
        ("2606:4700::1111", ["2606:4700::/32"], False),
        ("203.0.115.5", ["203.0.114.0/24", "2606:4700::/32"], True),
    ],
)
def test_what_the_operator_denies_is_never_reached(address: str, denied: list[str], reached: bool) -> None:
    networks = tuple(ip_network(one) for one in denied)
    for allowed in (False, True, (ip_network("0.0.0.0/0"), ip_network("::/0"))):
        assert may_reach(address, allowed, networks) == reached


@pytest.mark.parametrize(
    ("address", "allowed", "own"),
    [
        ("127.0.0.1", False, True),
        ("::ffff:127.0.0.1", False, True),
        ("127.0.0.1", True, False),
        ("127.0.0.1", (ip_network("127.0.0.0/8"),), False),
        ("192.0.2.1", False, False),
        ("2001:db8::1", False, False),
    ],
)
def test_addresses_of_this_machine_are_its_own_however_public_they_look(address: str, allowed: Any, own: bool) -> None:
    assert is_own(address, allowed) == own
