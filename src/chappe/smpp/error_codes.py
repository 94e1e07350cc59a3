"""What an SMPP command_status or a receipt's error code means for us: one class, one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from chappe.smpp.commands import Status


class ErrorClass(StrEnum):
    """What to do about an answer; the queue acts on it, this file only names it."""

    OK = "ok"
    THROTTLE = "throttle"  # slow the carrier, keep the message first, no attempt counted
    TEMPORARY = "temporary"  # retry later, one attempt
    LINK = "link"  # the session is unusable: reconnect, requeue, no attempt counted
    AUTH = "auth"  # credentials refused: slow retry, alarm
    NUMBER = "number"  # this destination: final
    SENDER = "sender"  # this sender on this carrier: final, or another route
    UNSERVED = "unserved"  # this destination on this carrier: final, or another route
    MESSAGE = "message"  # this content or size: final
    CONFIG = "config"  # every message would fail: circuit breaker
    BUG = "bug"  # ours: final for the part, alarm
    REQUEST = "request"  # answer to query, cancel, replace, multi: to the caller


class ReceiptState(StrEnum):
    """What became of the part."""

    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    EXPIRED = "expired"
    REJECTED = "rejected"
    DELETED = "deleted"
    IN_TRANSIT = "in_transit"
    UNKNOWN = "unknown"

    @property
    def final(self) -> bool:
        """Whether nothing more is to come."""
        return self not in (ReceiptState.IN_TRANSIT, ReceiptState.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One code judged: its class, a stable reason word, a sentence, the attempts allowed (None: the queue's own)."""

    error_class: ErrorClass
    reason: str
    sentence: str
    attempts_max: int | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of a carrier's own table: `code` (status as an int, receipt code as text) and what it means there."""

    code: int | str
    error_class: ErrorClass
    reason: str = ""
    sentence: str = ""

    @staticmethod
    def receipt_key(code: str) -> str:
        """The form under which receipt codes compare: trimmed, upper case, no leading zeros ("006" and "6" are one)."""
        trimmed = code.strip(" \x00").upper()
        return trimmed.lstrip("0") or trimmed[-1:]


_C = ErrorClass

# Default class and sentence of each status: SMPP 3.4 section 5.1.3; from 0x100 on, SMPP 5.0 section 4.7.6. Codes that
# the standard reserves are absent on purpose.
STATUSES: Mapping[int, tuple[ErrorClass, str]] = MappingProxyType(
    {
        Status.ROK: (_C.OK, "Accepted"),
        Status.RINVMSGLEN: (_C.MESSAGE, "The length of the message is not accepted"),
        Status.RINVCMDLEN: (_C.BUG, "The carrier found the length of our PDU wrong"),
        Status.RINVCMDID: (_C.CONFIG, "The carrier does not know this command"),
        Status.RINVBNDSTS: (_C.LINK, "The session is not bound for this command"),
        Status.RALYBND: (_C.LINK, "The carrier still holds an older session"),
        Status.RINVPRTFLG: (_C.CONFIG, "The priority flag is not accepted"),
        Status.RINVREGDLVFLG: (_C.CONFIG, "The registered_delivery flag is not accepted"),
        Status.RSYSERR: (_C.TEMPORARY, "The carrier has a system error"),
        Status.RINVSRCADR: (_C.SENDER, "The sender is not accepted"),
        Status.RINVDSTADR: (_C.NUMBER, "The destination is not accepted"),
        Status.RINVMSGID: (_C.REQUEST, "The carrier does not know this message id"),
        Status.RBINDFAIL: (_C.LINK, "The bind failed"),
        Status.RINVPASWD: (_C.AUTH, "The password is refused"),
        Status.RINVSYSID: (_C.AUTH, "The system_id is refused"),
        Status.RCANCELFAIL: (_C.REQUEST, "The message could not be cancelled"),
        Status.RREPLACEFAIL: (_C.REQUEST, "The message could not be replaced"),
        Status.RMSGQFUL: (_C.THROTTLE, "The queue of the carrier is full"),
        Status.RINVSERTYP: (_C.CONFIG, "The service_type is not accepted"),
        Status.RINVNUMDESTS: (_C.REQUEST, "The number of destinations is not accepted"),
        Status.RINVDLNAME: (_C.REQUEST, "The distribution list is not known"),
        Status.RINVDESTFLAG: (_C.REQUEST, "The destination flag is not accepted"),
        Status.RINVSUBREP: (_C.REQUEST, "Submitting with replacement is not accepted"),
        Status.RINVESMCLASS: (_C.CONFIG, "The esm_class is not accepted"),
        Status.RCNTSUBDL: (_C.REQUEST, "The distribution list cannot be used"),
        Status.RSUBMITFAIL: (_C.TEMPORARY, "The carrier refused without saying why"),
        Status.RINVSRCTON: (_C.CONFIG, "The TON of the sender is not accepted"),
        Status.RINVSRCNPI: (_C.CONFIG, "The NPI of the sender is not accepted"),
        Status.RINVDSTTON: (_C.CONFIG, "The TON of the destination is not accepted"),
        Status.RINVDSTNPI: (_C.CONFIG, "The NPI of the destination is not accepted"),
        Status.RINVSYSTYP: (_C.AUTH, "The system_type is refused"),
        Status.RINVREPFLAG: (_C.CONFIG, "The replace_if_present flag is not accepted"),
        Status.RINVNUMMSGS: (_C.CONFIG, "The number of messages is not accepted"),
        Status.RTHROTTLED: (_C.THROTTLE, "The carrier wants us slower"),
        Status.RINVSCHED: (_C.MESSAGE, "The scheduled delivery time is not accepted"),
        Status.RINVEXPIRY: (_C.MESSAGE, "The validity period is not accepted"),
        Status.RINVDFTMSGID: (_C.CONFIG, "The predefined message is not known"),
        Status.RX_T_APPN: (_C.TEMPORARY, "The receiver has a temporary error"),
        Status.RX_P_APPN: (_C.MESSAGE, "The receiver refuses the message for good"),
        Status.RX_R_APPN: (_C.MESSAGE, "The receiver rejects the message"),
        Status.RQUERYFAIL: (_C.REQUEST, "The query failed"),
        Status.RINVOPTPARSTREAM: (_C.CONFIG, "The optional parameters could not be read"),
        Status.ROPTPARNOTALLWD: (_C.CONFIG, "An optional parameter is not allowed"),
        Status.RINVPARLEN: (_C.CONFIG, "The length of a parameter is not accepted"),
        Status.RMISSINGOPTPARAM: (_C.CONFIG, "An optional parameter is missing"),
        Status.RINVOPTPARAMVAL: (_C.CONFIG, "The value of an optional parameter is not accepted"),
        Status.RDELIVERYFAILURE: (_C.TEMPORARY, "The delivery failed"),
        Status.RUNKNOWNERR: (_C.TEMPORARY, "The carrier has an unknown error"),
        Status.RSERTYPUNAUTH: (_C.CONFIG, "This service_type is not authorised for the account"),
        Status.RPROHIBITED: (_C.CONFIG, "This operation is prohibited for the account"),
        Status.RSERTYPUNAVAIL: (_C.TEMPORARY, "The service_type is unavailable"),
        Status.RSERTYPDENIED: (_C.CONFIG, "The service_type is denied"),
        Status.RINVDCS: (_C.CONFIG, "The data_coding is not accepted"),
        Status.RINVSRCADDRSUBUNIT: (_C.CONFIG, "The subunit of the sender is not accepted"),
        Status.RINVDSTADDRSUBUNIT: (_C.CONFIG, "The subunit of the destination is not accepted"),
        Status.RINVBCASTFREQINT: (_C.REQUEST, "The broadcast interval is not accepted"),
        Status.RINVBCASTALIAS_NAME: (_C.REQUEST, "The broadcast alias is not accepted"),
        Status.RINVBCASTAREAFMT: (_C.REQUEST, "The format of the broadcast area is not accepted"),
        Status.RINVNUMBCAST_AREAS: (_C.REQUEST, "The number of broadcast areas is not accepted"),
        Status.RINVBCASTCNTTYPE: (_C.REQUEST, "The broadcast content type is not accepted"),
        Status.RINVBCASTMSGCLASS: (_C.REQUEST, "The broadcast message class is not accepted"),
        Status.RBCASTFAIL: (_C.REQUEST, "The broadcast failed"),
        Status.RBCASTQUERYFAIL: (_C.REQUEST, "The broadcast query failed"),
        Status.RBCASTCANCELFAIL: (_C.REQUEST, "The broadcast could not be cancelled"),
        Status.RINVBCAST_REP: (_C.REQUEST, "The number of broadcast repeats is not accepted"),
        Status.RINVBCASTSRVGRP: (_C.REQUEST, "The broadcast service group is not accepted"),
        Status.RINVBCASTCHANIND: (_C.REQUEST, "The broadcast channel is not accepted"),
    }
)

# RSUBMITFAIL is used for throttling, for bad content and for no credit alike, so it gets few attempts.
AMBIGUOUS_STATUSES = frozenset({Status.RSUBMITFAIL})

# Receipt error codes are the carrier's own. Some copy a cause of GSM MAP (3GPP TS 29.002), others number their own
# reasons from 1, so these hold only for a carrier whose profile says so (`gsm-map-errors`). Keys are Rule.receipt_key
# forms. "0" is no error, or nobody knows, so it is absent.
GSM_MAP_ERRORS: Mapping[str, Verdict] = MappingProxyType(
    {
        "1": Verdict(_C.NUMBER, "unknown_subscriber", "The network does not know this subscriber"),
        "5": Verdict(_C.NUMBER, "unidentified_subscriber", "The network cannot identify this subscriber"),
        "6": Verdict(_C.TEMPORARY, "absent_subscriber", "The phone was off or out of reach"),
        "9": Verdict(_C.NUMBER, "illegal_subscriber", "The network refuses this subscriber"),
        "11": Verdict(_C.NUMBER, "teleservice_not_provisioned", "This subscriber cannot receive SMS"),
        "12": Verdict(_C.NUMBER, "illegal_equipment", "The network refuses this phone"),
        "13": Verdict(_C.NUMBER, "call_barred", "Messages to this subscriber are barred"),
        "21": Verdict(_C.NUMBER, "facility_not_supported", "The subscriber's network does not take SMS"),
        "27": Verdict(_C.TEMPORARY, "absent_subscriber", "The phone was off or out of reach"),
        "31": Verdict(_C.TEMPORARY, "subscriber_busy", "The phone was busy"),
        "32": Verdict(_C.TEMPORARY, "delivery_failure", "The phone could not take the message, its memory may be full"),
        "33": Verdict(_C.TEMPORARY, "waiting_list_full", "Too many messages wait for this phone"),
        "34": Verdict(_C.TEMPORARY, "system_failure", "The network failed"),
        "35": Verdict(_C.BUG, "data_missing", "The network missed data in the message"),
        "36": Verdict(_C.BUG, "unexpected_data", "The network met unexpected data in the message"),
    }
)

# The message_state TLV (SMPP 3.4 section 5.2.28, 5.0 section 4.7.15) in the words of Appendix B, so that a carrier's
# own table of words rules both.
MESSAGE_STATE_WORDS: Mapping[int, str] = MappingProxyType(
    {
        0: "SCHEDULED",
        1: "ENROUTE",
        2: "DELIVRD",
        3: "EXPIRED",
        4: "DELETED",
        5: "UNDELIV",
        6: "ACCEPTD",
        7: "UNKNOWN",
        8: "REJECTD",
        9: "SKIPPED",
    }
)
