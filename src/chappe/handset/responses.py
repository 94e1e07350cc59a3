"""How a submit is answered: at once, late, wrongly, or never."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chappe.handset.chaos import ResponseFault
from chappe.handset.fault_injection import Verdict
from chappe.handset.link import Link
from chappe.handset.phones import Part
from chappe.smpp.commands import SEQUENCE_MAX, Status
from chappe.smpp.pdu import DataSmResp, GenericNack, SubmitSmResp

if TYPE_CHECKING:
    from chappe.handset.message_center import Exchange


def answer(
    exchange: Exchange, link: Link, sequence: int, verdict: Verdict, part: Part | None, received_at: float
) -> None:
    """Answers as the verdict says; `part` is what was taken, None when nothing was; `received_at` is monotonic."""
    if verdict.cut and verdict.latency_s == 0:
        link.session.forget(sequence)
        link.wire.cut()
    elif not verdict.answered and not verdict.cut:
        link.session.forget(sequence)
    elif verdict.latency_s:
        exchange.answer_at(received_at + verdict.latency_s, _answer_late, link, sequence, verdict, part)
    else:
        _answer_now(link, sequence, verdict, part)


def _answer_late(link: Link, sequence: int, verdict: Verdict, part: Part | None) -> None:
    if verdict.cut:
        link.wire.cut()
        return
    if not link.session.closing:
        _answer_now(link, sequence, verdict, part)
        link.wire.flush()


def _answer_now(link: Link, sequence: int, verdict: Verdict, part: Part | None) -> None:
    message_id = b"" if part is None else part.id.encode()
    if verdict.fault is None:
        link.session.answer_submit(sequence, verdict.status, message_id)
    else:
        _answer_wrongly(link, sequence, verdict.status, message_id, verdict.fault)
    if verdict.unbind:
        link.session.unbind(link.wire.now())


def _answer_wrongly(link: Link, sequence: int, status: int, message_id: bytes, fault: ResponseFault) -> None:
    session = link.session
    if fault is ResponseFault.REPEATED:
        session.answer_submit(sequence, status, message_id)
        session.inject(SubmitSmResp(message_id if not status else b"", sequence=sequence, status=status).encode())
        return
    session.forget(sequence)
    if fault is ResponseFault.NACK:
        session.inject(GenericNack(sequence=sequence, status=status or Status.RSYSERR).encode())
    elif fault is ResponseFault.NACK_WITHOUT_SEQUENCE:
        session.inject(GenericNack(sequence=0, status=status or Status.RSYSERR).encode())
    elif fault is ResponseFault.WRONG_TYPE:
        session.inject(DataSmResp(message_id if not status else b"", sequence=sequence, status=status).encode())
    elif fault is ResponseFault.ERROR_BODY:
        session.inject(error_with_body(sequence, status or Status.RSYSERR))
    else:
        wrong = 0 if fault is ResponseFault.SEQUENCE_ZERO else SEQUENCE_MAX - sequence % 1000
        session.inject(SubmitSmResp(message_id if not status else b"", sequence=wrong, status=status).encode())


def error_with_body(sequence: int, status: int) -> bytes:
    """A submit_sm_resp with an error and, against the standard, a message_id."""
    well_formed = SubmitSmResp(b"0", sequence=sequence).encode()
    return well_formed[:8] + int(status).to_bytes(4, "big") + well_formed[12:]
