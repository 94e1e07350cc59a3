"""A capture file made by hand: octets of one TCP connection as packets, so that no test needs the right to capture."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path

SMPP_PORT = 2775
_ESME_PORT = 40000
_SEGMENT_OCTETS_MAX = 32_768
_ETHERNET = 1  # LINKTYPE_ETHERNET
_IPV4 = 0x0800
_TCP = 6
_PUSH_ACK = 0x18
_LOOPBACK = bytes([127, 0, 0, 1])


def _checksum(octets: bytes) -> int:
    """The ones' complement sum of RFC 1071."""
    padded = octets + b"\0" * (len(octets) % 2)
    total: int = sum(struct.unpack(f">{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _frame(source_port: int, destination_port: int, sequence: int, acknowledged: int, payload: bytes) -> bytes:
    """Ethernet, IPv4 and TCP headers (RFC 894, 791, 9293) around `payload`."""
    tcp = struct.pack(
        ">HHIIBBHHH", source_port, destination_port, sequence, acknowledged, 5 << 4, _PUSH_ACK, 0xFFFF, 0, 0
    )
    pseudo = struct.pack(">4s4sBBH", _LOOPBACK, _LOOPBACK, 0, _TCP, len(tcp) + len(payload))
    tcp = tcp[:16] + struct.pack(">H", _checksum(pseudo + tcp + payload)) + tcp[18:]
    length = 20 + len(tcp) + len(payload)
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, length, 0, 0x4000, 64, _TCP, 0, _LOOPBACK, _LOOPBACK)
    ip = ip[:10] + struct.pack(">H", _checksum(ip)) + ip[12:]
    return struct.pack(">6s6sH", b"\2" + bytes(5), b"\2" + bytes(4) + b"\1", _IPV4) + ip + tcp + payload


def write(path: Path, frames: Iterable[tuple[bytes, bool]]) -> None:
    """Writes (octets, written by the SMSC) as the segments of one connection, one segment for each entry.

    What is longer than an IP packet takes several. Times are one millisecond apart, the format is that of libpcap.
    """
    sent = {True: 1, False: 1}
    milliseconds = 0
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, _ETHERNET))
        for octets, by_smsc in frames:
            ports = (SMPP_PORT, _ESME_PORT) if by_smsc else (_ESME_PORT, SMPP_PORT)
            for start in range(0, len(octets), _SEGMENT_OCTETS_MAX):
                segment = octets[start : start + _SEGMENT_OCTETS_MAX]
                packet = _frame(*ports, sent[by_smsc] & 0xFFFFFFFF, sent[not by_smsc] & 0xFFFFFFFF, segment)
                sent[by_smsc] += len(segment)
                milliseconds += 1
                seconds, rest = divmod(milliseconds, 1000)
                file.write(struct.pack("<IIII", seconds, rest * 1000, len(packet), len(packet)) + packet)
