"""Builds encoder and decoder of a PDU class from its table of fields.

Both exist twice. The quick ones are functions written out for one class (like those `dataclasses` writes), which know
only well-formed PDUs; at the first irregularity they hand over to the careful ones, which walk the table field by
field, and either read liberally and flag, or say what must not be written. Tests hold the two against each other.

The source that is compiled here is made of field names and sizes of our own classes, never of input.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from typing import Any, get_type_hints

from chappe.smpp import tlv
from chappe.smpp.commands import RESPONSE_BIT, SEQUENCE_MAX, Status, command_name
from chappe.smpp.fields import (
    Counted,
    CString,
    Destination,
    DestinationList,
    DistributionList,
    Failure,
    FailureList,
    Kind,
    Octet,
    Time,
)
from chappe.smpp.header import HEADER, DecodeError, EncodeError, Pdu

Decoder = Callable[[bytes, int, int], Pdu]

_TIME_SIZE = 17


@dataclass(frozen=True, slots=True)
class Column:
    """One row of a PDU's table: the field's name, its kind on the wire, and what it is when a response lacks it."""

    name: str
    kind: Kind
    default: Any


def columns(pdu: type[Pdu]) -> tuple[Column, ...]:
    """The mandatory fields of a PDU class in wire order."""
    hints = get_type_hints(pdu, include_extras=True)
    rows = []
    for item in fields(pdu):
        kind = next(iter(getattr(hints[item.name], "__metadata__", ())), None)
        if kind is not None:
            assert item.default is not MISSING, item.name
            rows.append(Column(item.name, kind, item.default))
    return tuple(rows)


def prepare(pdu: type[Pdu]) -> None:
    """Gives a PDU class its name, and an `encode` that is built when it is first called."""
    pdu.name = command_name(pdu.command_id)

    def write_first(self: Pdu) -> bytes:
        rows, is_response = columns(pdu), bool(pdu.command_id & RESPONSE_BIT)

        def write_carefully(self: Pdu) -> bytes:
            return _write(self, rows, is_response)

        type.__setattr__(pdu, "encode", _quick_encoder(pdu, rows, is_response, write_carefully))
        return self.encode()

    type.__setattr__(pdu, "encode", write_first)


def decoder(pdu: type[Pdu]) -> Decoder:
    """Builds the decoder of a PDU class."""
    rows, is_response = columns(pdu), bool(pdu.command_id & RESPONSE_BIT)

    def read_carefully(frame: bytes, status: int, sequence: int) -> Pdu:
        return _read(pdu, rows, frame, status, sequence, is_response)

    return _quick_decoder(pdu, rows, is_response, read_carefully)


# -- the careful writer


def _write(self: Pdu, rows: tuple[Column, ...], is_response: bool) -> bytes:
    body: list[bytes] = []
    for row in rows:
        body += _write_field(row.name, row.kind, getattr(self, row.name))
    body.append(tlv.write(self.tlvs))
    if is_response and self.status:
        # The body of an error response is left out (SMPP 3.4, 4.4.2); TLVs alone would be read as its fields.
        if self.tlvs or any(getattr(self, row.name) != row.default for row in rows):
            raise EncodeError(f"{self.name}: an error response has no body")
        body = []
    if not 0 <= self.status <= (0xFFFFFFFF if is_response else 0):
        raise EncodeError(f"command_status: {'out of range' if is_response else '0 in a request'}")
    if not 0 <= self.sequence <= 0xFFFFFFFF:
        raise EncodeError(f"sequence_number: 1 to {SEQUENCE_MAX}")
    octets = b"".join(body)
    return HEADER.pack(HEADER.size + len(octets), self.command_id, self.status, self.sequence) + octets


def _write_field(name: str, kind: Kind, value: Any) -> tuple[bytes, ...]:
    match kind:
        case CString():
            most = max(kind.size, kind.written_max) - 1
            return (_c_octets(name, value, most),)
        case Time():
            if len(value) not in (0, _TIME_SIZE - 1):
                raise EncodeError(f"{name}: {len(value)} octets, 0 or {_TIME_SIZE - 1} allowed")
            return (_c_octets(name, value, _TIME_SIZE - 1),)
        case Octet():
            return (_octet(name, value),)
        case Counted():
            if len(value) > kind.size_max:
                raise EncodeError(f"{name}: {len(value)} octets, {kind.size_max} at most")
            return (bytes((len(value),)), bytes(value))
        case DestinationList():
            return _write_destinations(name, value)
        case FailureList():
            return _write_failures(name, value)


def _c_octets(name: str, value: bytes, most: int) -> bytes:
    if not isinstance(value, bytes):
        raise EncodeError(f"{name}: octets are wanted")
    if len(value) > most:
        raise EncodeError(f"{name}: {len(value)} octets, {most} at most")
    if 0 in value:
        # A NUL would end the field here and shift every later one: field injection.
        raise EncodeError(f"{name}: a NUL inside")
    return value + b"\0"


def _octet(name: str, value: int) -> bytes:
    if not isinstance(value, int) or not 0 <= value <= 255:
        raise EncodeError(f"{name}: not an octet")
    return bytes((value,))


def _write_destinations(name: str, value: tuple[Destination | DistributionList, ...]) -> tuple[bytes, ...]:
    if not 1 <= len(value) <= 254:
        raise EncodeError(f"{name}: {len(value)} destinations, 1 to 254 allowed")
    pieces = [bytes((len(value),))]
    for item in value:
        if isinstance(item, Destination):
            pieces += (b"\1", _octet(name, item.ton), _octet(name, item.npi), _c_octets(name, item.address, 20))
        else:
            pieces += (b"\2", _c_octets(name, item.name, 20))
    return tuple(pieces)


def _write_failures(name: str, value: tuple[Failure, ...]) -> tuple[bytes, ...]:
    if len(value) > 254:
        raise EncodeError(f"{name}: {len(value)} failures, 254 at most")
    pieces = [bytes((len(value),))]
    for item in value:
        if not 0 <= item.status <= 0xFFFFFFFF:
            raise EncodeError(f"{name}: a status out of range")
        pieces += (_octet(name, item.ton), _octet(name, item.npi), _c_octets(name, item.address, 20))
        pieces.append(item.status.to_bytes(4, "big"))
    return tuple(pieces)


# -- the careful reader


class _Missing(Exception):
    """The PDU ended before a field."""


class _Reader:
    """Walks the body of one PDU and collects what is odd."""

    def __init__(self, frame: bytes) -> None:
        self.frame = frame
        self.position = HEADER.size
        self.flags: list[str] = []

    def octet(self) -> int:
        if self.position >= len(self.frame):
            raise _Missing
        self.position += 1
        return self.frame[self.position - 1]

    def octets(self, count: int) -> bytes:
        if self.position + count > len(self.frame):
            raise _Missing
        self.position += count
        return self.frame[self.position - count : self.position]

    def c_octets(self, name: str, most: int) -> bytes:
        if self.position >= len(self.frame):
            raise _Missing
        end = self.frame.find(b"\0", self.position)
        if end < 0:
            end = len(self.frame)
            self.flag(f"unterminated:{name}")
        value = self.frame[self.position : end]
        self.position = min(end + 1, len(self.frame))
        if len(value) > most:
            self.flag(f"overlong:{name}")
        return value

    def flag(self, flag: str) -> None:
        if flag not in self.flags:
            self.flags.append(flag)

    def field(self, name: str, kind: Kind) -> Any:
        match kind:
            case CString():
                return self.c_octets(name, kind.size - 1)
            case Time():
                return self.c_octets(name, _TIME_SIZE - 1)
            case Octet():
                return self.octet()
            case Counted():
                count = self.octet()
                if count > kind.size_max:
                    self.flag(f"overlong:{name}")
                return self.octets(count)
            case DestinationList():
                return tuple(self.destination(name) for _ in range(self.octet()))
            case FailureList():
                return tuple(self.failure(name) for _ in range(self.octet()))

    def destination(self, name: str) -> Destination | DistributionList:
        kind = self.octet()
        if kind == 1:
            return Destination(self.octet(), self.octet(), self.c_octets(name, 20))
        if kind == 2:
            return DistributionList(self.c_octets(name, 20))
        raise _BadDestination

    def failure(self, name: str) -> Failure:
        ton, npi, address = self.octet(), self.octet(), self.c_octets(name, 20)
        return Failure(ton, npi, address, int.from_bytes(self.octets(4), "big"))


class _BadDestination(Exception):
    """A dest_flag that is neither 1 nor 2: the list cannot be read any further."""


def _read(pdu: type[Pdu], rows: tuple[Column, ...], frame: bytes, status: int, sequence: int, is_response: bool) -> Pdu:
    reader = _Reader(frame)
    values = {row.name: row.default for row in rows}
    if is_response and len(frame) == HEADER.size:
        if rows and not status:
            reader.flag("body_missing")
        return pdu(**values, sequence=sequence, status=status, flags=tuple(reader.flags))
    if is_response and status:
        reader.flag("body_in_error")
    for row in rows:
        try:
            values[row.name] = reader.field(row.name, row.kind)
        except _BadDestination as error:
            raise DecodeError("dest_flag is neither 1 nor 2", Status.RINVDESTFLAG, pdu.command_id, sequence) from error
        except _Missing as error:
            if not is_response:
                # A request without all of its fields is refused: its text would be cut without anybody noticing.
                answer = Status.RINVMSGLEN if isinstance(row.kind, Counted) else Status.RINVCMDLEN
                raise DecodeError(f"{row.name} is cut", answer, pdu.command_id, sequence) from error
            reader.flag(f"truncated:{row.name}")
            return pdu(**values, sequence=sequence, status=status, flags=tuple(reader.flags))
    tlvs, whole = tlv.read(frame, reader.position)
    if not whole:
        reader.flag("tlv_tail")
    if values.get("short_message") and any(tag == tlv.Tag.MESSAGE_PAYLOAD for tag, _ in tlvs):
        reader.flag("two_texts")
    return pdu(**values, sequence=sequence, status=status, tlvs=tlvs, flags=tuple(reader.flags))


# -- the quick ones, written out and compiled once for each class


def _quick_encoder(
    pdu: type[Pdu], rows: tuple[Column, ...], is_response: bool, carefully: Callable[[Pdu], bytes]
) -> Callable[[Pdu], bytes]:
    form, values, lines, tests = "", [], [], []
    for row in rows:
        name, kind = row.name, row.kind
        match kind:
            case CString():
                most = max(kind.size, kind.written_max) - 1
                lines.append(f"{name} = self.{name}")
                tests.append(f"({name} and (len({name}) > {most} or 0 in {name}))")
                form += "%b\\0"
                values.append(name)
            case Time():
                lines.append(f"{name} = self.{name}")
                tests.append(f"({name} and (len({name}) != {_TIME_SIZE - 1} or 0 in {name}))")
                form += "%b\\0"
                values.append(name)
            case Octet():
                form += "%c"
                values.append(f"self.{name}")
            case Counted():
                lines += [f"{name} = self.{name}", f"{name}_length = len({name})"]
                tests.append(f"{name}_length > {kind.size_max}")
                form += "%c%b"
                values += [f"{name}_length", name]
            case DestinationList() | FailureList():
                return carefully
    tests.append("self.status")
    source = ["def encode(self):", "    try:"]
    source += [f"        {line}" for line in lines]
    source += [f"        if {' or '.join(tests)}:", "            return carefully(self)"]
    source += [
        f'        body = b"{form}" % ({"".join(value + ", " for value in values)})' if rows else '        body = b""',
        "        if self.tlvs:",
        "            body += write_tlvs(self.tlvs)",
        f"        return pack({HEADER.size} + len(body), {int(pdu.command_id)}, self.status, self.sequence) + body",
        "    except (OverflowError, TypeError, ValueError, StructError):",
        "        return carefully(self)",
    ]
    scope = {"carefully": carefully, "write_tlvs": tlv.write, "pack": HEADER.pack, "StructError": struct.error}
    return _compiled(source, pdu, scope, "encode")  # type: ignore[no-any-return]


def _quick_decoder(pdu: type[Pdu], rows: tuple[Column, ...], is_response: bool, carefully: Decoder) -> Decoder:
    source = ["def decode(frame, status, sequence):"]
    if is_response:
        source += ["    if status:", "        return carefully(frame, status, sequence)"]
    source += ["    self = new(cls)", "    try:"]
    scope: dict[str, Any] = {"carefully": carefully, "read_tlvs": tlv.read, "new": pdu.__new__, "cls": pdu}
    scope["StructError"] = struct.error
    where = _Where()
    octets: list[str] = []  # one-octet fields in a row are read together
    for number, row in enumerate(rows):
        match row.kind:
            case Octet():
                octets.append(f"self.{row.name}")
            case Counted():
                source += _octets_read([*octets, "count"], where, scope)
                octets.clear()
                source += [
                    f"        end = {where} + count",
                    f"        if count > {row.kind.size_max} or end > len(frame):",
                    "            return carefully(frame, status, sequence)",
                    f"        self.{row.name} = frame[{where}:end]",
                ]
                where.base, where.offset = "end", 0
            case CString() | Time():
                source += _octets_read(octets, where, scope)
                octets.clear()
                source += _c_octets_read(row, where, f"p{number}", is_last=number == len(rows) - 1)
                where.base, where.offset = f"p{number}", 1
            case DestinationList() | FailureList():
                return carefully
    source += _octets_read(octets, where, scope)
    source += [f"        if {where} == len(frame):", "            self.tlvs = ()", "        else:"]
    source += [f"            self.tlvs, whole = read_tlvs(frame, {where})", "            if not whole:"]
    source += ["                return carefully(frame, status, sequence)"]
    if any(isinstance(row.kind, Counted) for row in rows):
        source += ["            if self.short_message:", "                for tag, _ in self.tlvs:"]
        source += [f"                    if tag == {int(tlv.Tag.MESSAGE_PAYLOAD)}:"]
        source += ["                        return carefully(frame, status, sequence)"]
    source += ["    except (IndexError, ValueError, StructError):", "        return carefully(frame, status, sequence)"]
    source += ["    self.status = status", "    self.sequence = sequence", "    self.flags = ()", "    return self"]
    return _compiled(source, pdu, scope, "decode")  # type: ignore[no-any-return]


class _Where:
    """Where in the frame the written-out reader is: so many octets behind what a variable of it says."""

    def __init__(self) -> None:
        self.base = ""
        self.offset = HEADER.size

    def __str__(self) -> str:
        return " + ".join(filter(None, (self.base, str(self.offset) if self.offset or not self.base else "")))


def _octets_read(names: list[str], where: _Where, scope: dict[str, Any]) -> list[str]:
    if len(names) > 2:  # for one or two, plain indexing is quicker
        scope[f"unpack{len(names)}"] = struct.Struct(f"{len(names)}B").unpack_from
        line = f"        {', '.join(names)} = unpack{len(names)}(frame, {where})"
        where.offset += len(names)
        return [line]
    lines = []
    for name in names:
        lines.append(f"        {name} = frame[{where}]")
        where.offset += 1
    return lines


def _c_octets_read(row: Column, where: _Where, end: str, *, is_last: bool) -> list[str]:
    most = row.kind.size - 1 if isinstance(row.kind, CString) else _TIME_SIZE - 1
    lines = []
    if is_last:  # without TLVs it ends where the PDU ends, so nothing has to be searched
        lines = [
            f"        value = frame[{where}:-1]",
            f"        if not frame[-1] and {where} < len(frame) and len(value) <= {most} and 0 not in value:",
            f"            self.{row.name} = value",
            f"            {end} = len(frame) - 1",
            f"        elif frame[{where}]:",
        ]
    return [
        *(lines or [f"        if frame[{where}]:"]),
        f"            {end} = frame.index(0, {where})",
        f"            if {end} - ({where}) > {most}:",
        "                return carefully(frame, status, sequence)",
        f"            self.{row.name} = frame[{where} : {end}]",
        "        else:",
        f"            {end} = {where}",
        f'            self.{row.name} = b""',
    ]


def _compiled(source: list[str], pdu: type[Pdu], scope: dict[str, Any], name: str) -> Any:
    text = "\n".join(source)
    exec(compile(text, f"<{name} of {pdu.name}, built by {__name__}>", "exec"), scope)
    return scope[name]
