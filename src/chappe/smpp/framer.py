"""Cuts a stream of octets into PDUs, whatever the chunks it comes in (SMPP 3.4, 3.2)."""

from __future__ import annotations

from chappe.smpp.header import HEADER

# command_id, command_status, sequence_number, and the whole PDU with its header
Frame = tuple[int, int, int, bytes]

_unpack = HEADER.unpack_from
_SIZE = HEADER.size


class Framer:
    """Collects octets and gives whole PDUs; holds at most one incomplete PDU of `length_max` octets.

    A command_length below 16 or above `length_max` means that the stream cannot be read any further: `lost` is true
    from then on, `lost_header` is that PDU's header as far as it can be believed, and all further octets are ignored.
    """

    __slots__ = ("_partial", "_wanted", "length_max", "lost", "lost_header")

    def __init__(self, length_max: int = 65536) -> None:
        assert length_max >= _SIZE
        self.length_max = length_max
        self.lost = False
        self.lost_header: tuple[int, int, int, int] | None = None
        self._partial = bytearray()
        self._wanted = 4  # octets that must be there before anything new can be known

    @property
    def partial(self) -> int:
        """How many octets of an incomplete PDU are held."""
        return len(self._partial)

    def feed(self, data: bytes | bytearray | memoryview) -> list[Frame]:
        """The PDUs that these octets complete, in order."""
        if self.lost:
            return []
        if self._partial:
            self._partial += data
            if len(self._partial) < self._wanted:
                return []  # nothing is copied while a PDU dribbles in
            data = bytes(self._partial)
            self._partial.clear()
        elif type(data) is not bytes:
            data = bytes(data)
        frames: list[Frame] = []
        position, end = 0, len(data)
        while end - position >= _SIZE:
            length, command_id, status, sequence = _unpack(data, position)
            if not _SIZE <= length <= self.length_max:
                self.lost = True
                self.lost_header = (length, command_id, status, sequence)
                return frames
            if position + length > end:
                self._wanted = length
                self._partial += data[position:]
                return frames
            frames.append((command_id, status, sequence, data[position : position + length]))
            position += length
        if position < end:
            # A length that is wrong already in its four octets need not wait for the rest of the header.
            if (
                end - position >= 4
                and not _SIZE <= int.from_bytes(data[position : position + 4], "big") <= self.length_max
            ):
                self.lost = True
                return frames
            self._wanted = 4 if end - position < 4 else _SIZE
            self._partial += data[position:]
        return frames
