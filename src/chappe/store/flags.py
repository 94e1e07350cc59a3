"""The bits of submission.flags."""

from __future__ import annotations


class Flag:
    """submission.flags. Plain integers: an IntFlag makes a new object at each operation, and this is the hot path."""

    LOWCOST = 1
    TRANSACTIONAL = 2
    UNICODE = 4
    FLASH = 8
    SANDBOX = 16
    VIRTUAL_NUMBER = 32
    REPORTS_WAITING = 64
    REPORTS_POST = 128
    STOP_IGNORED = 256  # leaves for numbers that have opted out as well
    SENDER_MALFORMED = 512  # what the request asked for and Chappe could not do: see WARNINGS
    SENDER_NOT_ALLOWED = 1024
    SENDER_WITHOUT_STOP = 2048
    LOWCOST_UNAVAILABLE = 4096
    TEXT_LOSSY = 8192
    UNICODE_FORCED = 16384
    NUMBERS_COMPLETED = 32768
    STOP_FOREIGN = 65536


WARNINGS = {
    "sender_malformed": Flag.SENDER_MALFORMED,
    "sender_not_allowed": Flag.SENDER_NOT_ALLOWED,
    "sender_without_stop": Flag.SENDER_WITHOUT_STOP,
    "lowcost_unavailable": Flag.LOWCOST_UNAVAILABLE,
    "text_lossy": Flag.TEXT_LOSSY,
    "unicode_forced": Flag.UNICODE_FORCED,
    "numbers_completed": Flag.NUMBERS_COMPLETED,
    "stop_foreign": Flag.STOP_FOREIGN,
}
"""The warnings of a Send, as flags: its customer cannot be told in every dialect, its operator can see them."""
