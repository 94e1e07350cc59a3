"""Wireshark's dissector as an oracle: what `tshark` reads in the octets that we write."""

from __future__ import annotations

import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from peers import pcap

TSHARK = shutil.which("tshark")
_TIMEOUT_S = 60
_NOT_XML = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")


@dataclass(frozen=True)
class Dissected:
    """One SMPP PDU as tshark read it: (field, its octets) in the order of the wire, and what it complained about.

    A field that is a part of an octet stands for the whole octet, once.
    """

    fields: tuple[tuple[str, bytes], ...]
    complaints: tuple[str, ...]


def version() -> str:
    """The version of tshark, as `4.0.17`."""
    assert TSHARK is not None
    output = subprocess.run([TSHARK, "--version"], capture_output=True, text=True, check=True, timeout=_TIMEOUT_S)
    return output.stdout.split()[2]


def dissect(frames: Sequence[tuple[bytes, bool]], folder: Path) -> list[Dissected]:
    """What tshark reads in each of the PDUs (octets, written by the SMSC). Raises AssertionError when it does not see
    as many PDUs as there are."""
    # Texts stand in the output with control characters that XML forbids, and emoji as two halves.
    xml = _NOT_XML.sub("?", _read(frames, folder, "-T", "pdml").decode("utf-8", "replace"))
    dissected = [pdu for packet in ElementTree.fromstring(xml) for pdu in _pdus(packet)]
    assert len(dissected) == len(frames), f"tshark sees {len(dissected)} PDUs of {len(frames)}"
    return dissected


def complaints(frames: Sequence[tuple[bytes, bool]], folder: Path, *, user_data: bool = True) -> list[str]:
    """What tshark objects to in these PDUs, one line for each packet: never a number or a text. Without `user_data`
    only SMPP is judged, not what is in a short_message. Raises AssertionError as dissect does."""
    if not frames:
        return []
    ask = ["-T", "fields", "-E", "separator=|", "-e", "smpp.command_id", "-e", "_ws.malformed", "-e"]
    ask.append("_ws.expert.message")
    if not user_data:
        ask += ["--disable-protocol", "gsm_sms_ud"]
    lines = _read(frames, folder, *ask).decode("utf-8", "replace").splitlines()
    seen = sum(len(line.split("|")[0].split(",")) for line in lines if not line.startswith("|"))
    assert seen == len(frames), f"tshark sees {seen} PDUs of {len(frames)}"
    return [line for line in lines if line.split("|", 1)[1].strip("|")]


def _read(frames: Sequence[tuple[bytes, bool]], folder: Path, *arguments: str) -> bytes:
    assert TSHARK is not None
    capture = folder / "written.pcap"
    pcap.write(capture, frames)
    command = [TSHARK, "-n", "-r", str(capture), "-d", f"tcp.port=={pcap.SMPP_PORT},smpp", *arguments]
    # tshark keeps its settings in HOME; none of somebody's preferences may change what it says here.
    environment = {"HOME": str(folder), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    return subprocess.run(command, capture_output=True, check=True, timeout=_TIMEOUT_S, env=environment).stdout


def _pdus(packet: ElementTree.Element) -> Iterable[Dissected]:
    """The PDUs in one packet. What follows an SMPP layer (its text, a malformed rest) belongs to it."""
    open_fields: list[tuple[str, bytes]] | None = None
    objections: list[str] = []
    for layer in packet.iter("proto"):
        name = layer.get("name", "")
        if name == "smpp":
            if open_fields is not None:
                yield Dissected(tuple(open_fields), tuple(dict.fromkeys(objections)))
            open_fields, objections = _fields(layer), []
        if name.startswith("_ws."):
            objections.append(layer.get("showname", name))
        objections += [
            field.get("show", "") for field in layer.iter("field") if field.get("name") == "_ws.expert.message"
        ]
    if open_fields is not None:
        yield Dissected(tuple(open_fields), tuple(dict.fromkeys(objections)))


def _fields(layer: ElementTree.Element) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    last_position = None
    for field in layer.iter("field"):
        name = field.get("name", "")
        octets = field.get("unmaskedvalue") or field.get("value")
        if not name.startswith("smpp.") or not octets:
            continue
        position = field.get("pos")
        if position == last_position and field.get("unmaskedvalue"):
            continue  # another part of the same octet
        last_position = position
        found.append((name.removeprefix("smpp."), bytes.fromhex(octets)))
    return found
