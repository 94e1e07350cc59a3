"""The words of receipts: which state each one means, and the word that a carrier may have meant by an unknown one.

A table, so that a word is one entry and nothing is guessed: a word in no table is UNKNOWN, and a profile's own table
(`status_words`) rules over this one. Words compare in any case; `_`, `-` and blanks are the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from types import MappingProxyType
from typing import Final

from chappe.smpp.error_codes import ReceiptState

_S = ReceiptState

# By state, where the word is from, and the words. ACCEPTD is final in the standard ("read by customer service"), but
# carriers mean "accepted by the network": in transit, unless a profile says otherwise. DELETED is final: nobody here
# asks a carrier to delete.
SOURCES: Final[Sequence[tuple[ReceiptState, str, str]]] = (
    (_S.DELIVERED, "SMPP 3.4, Appendix B", "DELIVRD"),
    (_S.DELIVERED, "SMPP 3.4, 5.2.28", "DELIVERED"),
    (_S.DELIVERED, "spellings of carriers", "DELIVERD DELIVRED DELIVERED-TO-HANDSET DELIVERED-TO-TERMINAL"),
    (_S.UNDELIVERED, "SMPP 3.4, Appendix B", "UNDELIV"),
    (_S.UNDELIVERED, "SMPP 3.4, 5.2.28", "UNDELIVERABLE"),
    (_S.UNDELIVERED, "SMPP 5.0, 4.7.15", "SKIPPED"),
    (_S.UNDELIVERED, "spellings of carriers", "UNDELIVERED UNDELIVRD UNDELIVERD UNDLIVRD UNDELIVERBLE NOT-DELIVERED"),
    (_S.UNDELIVERED, "Mblox, SMS Central, Route Mobile", "FAILED SYSERR NOCRED"),
    (_S.UNDELIVERED, "PSWinCom", "BARRED BARREDA ZEROBAL"),
    (_S.UNDELIVERED, "Upside Wireless", "ERROR UNIDNTFY"),
    (
        _S.UNDELIVERED,
        "Kaleyra",
        "ABSENT-SUB HANDSET-BUSY HANDSET-ERR INVALID-SUB MEMEXEC MOB-OFF NET-ERR NO-CREDITS SERVER-ERR",
    ),
    (_S.EXPIRED, "SMPP 3.4, Appendix B", "EXPIRED"),
    (_S.EXPIRED, "spellings of carriers", "EXPIRD EXPIRRD EXPIERD"),
    (_S.EXPIRED, "Kaleyra", "TIME-OUT-PROM"),
    (_S.REJECTED, "SMPP 3.4, Appendix B", "REJECTD"),
    (_S.REJECTED, "SMPP 3.4, 5.2.28", "REJECTED"),
    (_S.REJECTED, "spellings of carriers", "REJCTED REJECTD-BY-SMSC"),
    (_S.REJECTED, "Indian carriers", "DND-REJECTED DND-FAIL DNDNUMB BLACKLIST BLACKLISTED"),
    (
        _S.REJECTED,
        "Kaleyra",
        "INV-NUMBER INV-TEMPLATE-MATCH NOT-OPTIN OUTPUT-REJ REJECTED-MULTIPART SENDER-ID-NOT-FOUND SERIES-BLK"
        " SERIES-BLOCK SNDRID-NOT-ALLOTED SPAM TEMPLATE-NOT-FOUND",
    ),
    (_S.DELETED, "SMPP 3.4, Appendix B", "DELETED"),
    (_S.IN_TRANSIT, "SMPP 3.4, Appendix B", "ENROUTE ACCEPTD"),
    (_S.IN_TRANSIT, "SMPP 3.4, 5.2.28", "ACCEPTED"),
    (_S.IN_TRANSIT, "SMPP 5.0, 4.7.15", "SCHEDULED"),
    (_S.IN_TRANSIT, "spellings of carriers", "SCHEDLD ENROUTED PENDING QUEUED SENT"),
    (_S.IN_TRANSIT, "Mblox", "ACKED BUFFRED BUFFERED"),
    (_S.IN_TRANSIT, "Upside Wireless", "UNDETRM"),
    (_S.UNKNOWN, "SMPP 3.4, Appendix B", "UNKNOWN"),
    (_S.UNKNOWN, "PSWinCom, Kaleyra", "NULL NO-DLR-OPTR"),
)

STATUS_WORDS: Mapping[str, ReceiptState] = MappingProxyType(
    {word: state for state, _, words in SOURCES for word in words.split()}
)

_SAME: Final = str.maketrans("_ ", "--")


def key_of(word: str) -> str:
    """The form under which words compare."""
    return word.upper().strip().translate(_SAME)


def state_of(word: str, own: Sequence[tuple[str, ReceiptState]] = ()) -> ReceiptState | None:
    """The state that a word means, by the carrier's own table first; None for a word in no table.

    A carrier may write its own words behind the standard's, after a colon or a bar ("FAILED:Mob. Abst.|nt ext"): where
    the whole is in no table, what stands before the first of these decides.
    """
    whole = key_of(word)
    head = key_of(word.replace("|", ":").partition(":")[0])
    tables = ({key_of(known): state for known, state in own}, STATUS_WORDS)
    for asked in (whole, head):
        for table in tables:
            if asked in table:
                return table[asked]
    return None


def suggestion(word: str) -> str:
    """The known word that an unknown one resembles; empty when it resembles none."""
    close = get_close_matches(key_of(word)[:40], STATUS_WORDS, n=1, cutoff=0.75)
    return close[0] if close else ""
