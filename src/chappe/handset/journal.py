"""The journal: one JSON line for each thing that has to outlive a restart, bounded by writing it anew.

A line that was cut by a crash can only be the last; it is dropped. What was taken is written (not synced) before it is
answered: the end of this process loses nothing, the loss of the machine's power may lose the last moments.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import fields
from pathlib import Path

import msgspec

from chappe.embedded.data_directory import give_to_owner
from chappe.handset.magic_numbers import Report
from chappe.handset.phones import Part
from chappe.smpp.pdu import DeliverSm, SubmitSm

_LINES_SPARE = 20_000  # how many lines more than twice what is alive, before the file is written anew
_OCTETS_SPARE = 67_108_864
# The fields of a body that are numbers, and those that are octets, in the standard's order.
_NUMBERS = tuple(
    spec.name for spec in fields(SubmitSm) if spec.default == 0 and spec.name not in ("sequence", "status")
)
_OCTETS = tuple(spec.name for spec in fields(SubmitSm) if spec.default == b"")


class JournalError(ValueError):
    """This file is no journal of a handset; the message says which line is wrong."""


class Body(msgspec.Struct, array_like=True, frozen=True):
    """The fields of a submit_sm or deliver_sm in the standard's order, numbers and octets, and its TLVs."""

    numbers: list[int]
    octets: list[bytes]
    tlvs: list[tuple[int, bytes]]


class Taken(msgspec.Struct, array_like=True, frozen=True, tag="taken"):
    """A part that was taken: `at` seconds since 1970, `due_at` when which of its reports is due, `shown` whether
    phones show it."""

    number: int
    id: str
    receipt_id: str
    system_id: str
    at: float
    final_at: float
    asked: bool
    shown: bool
    reports: list[Report]
    due_at: dict[int, float]
    body: Body


class Reported(msgspec.Struct, array_like=True, frozen=True, tag="reported"):
    """A receipt that was acknowledged, or given up."""

    number: int
    index: int


class Replied(msgspec.Struct, array_like=True, frozen=True, tag="replied"):
    """A part of a reply that waits for somebody."""

    key: int
    system_id: str
    body: Body


class Heard(msgspec.Struct, array_like=True, frozen=True, tag="heard"):
    """A part of a reply that was acknowledged, or given up."""

    key: int


class Cancelled(msgspec.Struct, array_like=True, frozen=True, tag="cancelled"):
    """A part that was called back."""

    number: int


class Cleared(msgspec.Struct, array_like=True, frozen=True, tag="cleared"):
    """All messages were deleted."""


Entry = Taken | Reported | Replied | Heard | Cancelled | Cleared
_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Entry)


class Journal:
    """The file of one SMSC. Writing collects lines; `commit` puts them into the file. All raise OSError."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines: list[bytes] = []
        self._count = 0
        self._octets = self._octets_alive = 0  # of the file now, and when it was written anew
        self._descriptor = -1

    def read(self) -> Iterator[Entry]:
        """Everything that is in the file, in the order of writing. Raises JournalError, OSError."""
        try:
            octets = self._path.read_bytes()
        except FileNotFoundError:
            return
        lines = octets.split(b"\n")
        lines.pop()  # empty, or cut off by a crash
        self._count = len(lines)
        for number, line in enumerate(lines, 1):
            try:
                yield _DECODER.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise JournalError(f"line {number} of {self._path} is no line of a handset's journal") from error

    def rewrite(self, entries: Iterable[Entry]) -> None:
        """Puts exactly these entries into the file, all or nothing."""
        fresh = self._path.with_name(self._path.name + ".new")
        self._path.parent.mkdir(parents=True, exist_ok=True)
        lines = [_ENCODER.encode(entry) for entry in entries]
        # Texts and numbers are in it: nobody else's business.
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        try:
            give_to_owner(self._path.parent, descriptor)
            _write(descriptor, b"".join(line + b"\n" for line in lines))
            os.replace(fresh, self._path)
        except OSError:
            os.close(descriptor)
            raise
        self.close()
        self._descriptor = descriptor
        self._count = len(lines)
        self._octets = self._octets_alive = sum(map(len, lines))
        self._lines.clear()

    def add(self, entry: Entry) -> None:
        """One more line, with the next commit."""
        self._lines.append(_ENCODER.encode(entry))

    def commit(self) -> None:
        """Writes what was added."""
        if self._lines:
            octets = b"\n".join(self._lines) + b"\n"
            self._count += len(self._lines)
            self._octets += len(octets)
            self._lines.clear()
            _write(self._descriptor, octets)

    def is_overgrown(self, alive: int) -> bool:
        """Whether the file has so many lines, or octets, beyond the `alive` ones that it is time to rewrite it."""
        return self._count > 2 * alive + _LINES_SPARE or self._octets > 2 * self._octets_alive + _OCTETS_SPARE

    def close(self) -> None:
        """Closes the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _write(descriptor: int, octets: bytes) -> None:
    view = memoryview(octets)
    while view:
        view = view[os.write(descriptor, view) :]


def body_of(pdu: SubmitSm | DeliverSm) -> Body:
    """The body of a PDU, as the journal writes it."""
    numbers = [getattr(pdu, name) for name in _NUMBERS]
    octets = [getattr(pdu, name) for name in _OCTETS]
    return Body(numbers, octets, list(pdu.tlvs))


def submit_of(body: Body) -> SubmitSm:
    """The submit_sm that was written."""
    pdu = SubmitSm()
    _fill(pdu, body)
    return pdu


def deliver_of(body: Body) -> DeliverSm:
    """The deliver_sm that was written."""
    pdu = DeliverSm()
    _fill(pdu, body)
    return pdu


def _fill(pdu: SubmitSm | DeliverSm, body: Body) -> None:
    if len(body.numbers) != len(_NUMBERS) or len(body.octets) != len(_OCTETS):
        raise JournalError("a message in the journal has other fields than this version writes")
    for name, number in zip(_NUMBERS, body.numbers, strict=True):
        setattr(pdu, name, number)
    for name, octets in zip(_OCTETS, body.octets, strict=True):
        setattr(pdu, name, octets)
    pdu.tlvs = tuple(body.tlvs)


def taken_of(part: Part, due_at: dict[int, float], *, shown: bool) -> Taken:
    """A part as the journal writes it."""
    return Taken(
        part.number,
        part.id,
        part.receipt_id,
        part.system_id,
        part.at,
        part.final_at,
        part.asked,
        shown,
        list(part.reports),
        due_at,
        body_of(part.pdu),
    )


def part_of(taken: Taken) -> Part:
    """The part that was written."""
    part = Part(taken.number, taken.id, taken.receipt_id, taken.system_id, submit_of(taken.body), taken.at)
    part.final_at = taken.final_at
    part.asked = taken.asked
    part.reports = tuple(taken.reports)
    return part
