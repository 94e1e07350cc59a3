"""The requests of clients beside submit_sm: data_sm, submit_multi, query_sm, cancel_sm; the rest is refused."""

from __future__ import annotations

from datetime import UTC, datetime

from chappe.handset.link import Link
from chappe.handset.message_center import Exchange
from chappe.handset.phones import Part
from chappe.smpp import times
from chappe.smpp.commands import Status
from chappe.smpp.error_codes import ReceiptState
from chappe.smpp.fields import Destination, Failure
from chappe.smpp.pdu import (
    CancelSm,
    DataSm,
    DeliverSm,
    QuerySm,
    QuerySmResp,
    ReplaceSm,
    Request,
    SubmitMulti,
    SubmitMultiResp,
    SubmitSm,
)

_MESSAGE_STATES = {
    ReceiptState.IN_TRANSIT: 1,
    ReceiptState.DELIVERED: 2,
    ReceiptState.EXPIRED: 3,
    ReceiptState.DELETED: 4,
    ReceiptState.UNDELIVERED: 5,
    ReceiptState.UNKNOWN: 7,
    ReceiptState.REJECTED: 8,
}


class Requests:
    """Answers what clients ask for."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def answer(self, link: Link, pdu: Request) -> None:
        """Answers one request, whatever it is."""
        if isinstance(pdu, DataSm):
            self._exchange.submit(link, _from_data_sm(pdu), pdu.sequence)
        elif isinstance(pdu, SubmitMulti):
            self._submit_multi(link, pdu)
        elif isinstance(pdu, QuerySm):
            self._query(link, pdu)
        elif isinstance(pdu, CancelSm):
            self._cancel(link, pdu)
        elif isinstance(pdu, ReplaceSm):
            link.session.answer(pdu.sequence, Status.RREPLACEFAIL)
        else:
            assert not isinstance(pdu, DeliverSm)  # the session takes none from an ESME
            link.session.answer(pdu.sequence, Status.RINVCMDID)  # broadcasts

    def _submit_multi(self, link: Link, pdu: SubmitMulti) -> None:
        """One message for each destination; the id in the answer is that of the first that was taken."""
        failures: list[Failure] = []
        taken: Part | None = None
        for destination in pdu.destinations:
            if not isinstance(destination, Destination):
                failures.append(Failure(0, 0, b"", Status.RINVDLNAME))
                continue
            status, decided = self._exchange.take(link, _for_one(pdu, destination))
            part = decided[1] if decided is not None else None
            if part is not None:
                taken = taken or part
                continue
            status = status or (decided[0].status if decided is not None else 0) or int(Status.RSYSERR)
            failures.append(Failure(destination.ton, destination.npi, destination.address, status))
        if taken is None:
            status = failures[0].status if failures else int(Status.RINVNUMDESTS)
            link.session.answer_submit(pdu.sequence, status)
            return
        link.session.answer(pdu.sequence, 0, SubmitMultiResp(taken.id.encode(), tuple(failures)))

    def _query(self, link: Link, pdu: QuerySm) -> None:
        part = self._own(link, pdu.message_id)
        if part is None:
            link.session.answer(pdu.sequence, Status.RQUERYFAIL)
            return
        at = self._exchange.wall()
        state = part.state_at(at)
        final_date = b""
        if state is not ReceiptState.IN_TRANSIT:
            final_date = times.format_absolute(datetime.fromtimestamp(min(part.final_at, at), UTC))
        error_code = part.error_code if state is not ReceiptState.IN_TRANSIT else 0
        response = QuerySmResp(pdu.message_id, final_date, _MESSAGE_STATES[state], error_code)
        link.session.answer(pdu.sequence, 0, response)

    def _cancel(self, link: Link, pdu: CancelSm) -> None:
        part = self._own(link, pdu.message_id)
        good = part is not None and self._exchange.cancel(part)
        link.session.answer(pdu.sequence, 0 if good else Status.RCANCELFAIL)

    def _own(self, link: Link, id: bytes) -> Part | None:
        """The part with this id, if this client has sent it."""
        part = self._exchange.part(id)
        return part if part is not None and part.system_id == link.system_id else None


def _from_data_sm(pdu: DataSm) -> SubmitSm:
    """A data_sm is a submit_sm with less in it; its text is the TLV message_payload (SMPP 3.4, 4.7.1)."""
    return SubmitSm(
        service_type=pdu.service_type,
        source_addr_ton=pdu.source_addr_ton,
        source_addr_npi=pdu.source_addr_npi,
        source_addr=pdu.source_addr,
        dest_addr_ton=pdu.dest_addr_ton,
        dest_addr_npi=pdu.dest_addr_npi,
        destination_addr=pdu.destination_addr,
        esm_class=pdu.esm_class,
        registered_delivery=pdu.registered_delivery,
        data_coding=pdu.data_coding,
        tlvs=pdu.tlvs,
    )


def _for_one(pdu: SubmitMulti, destination: Destination) -> SubmitSm:
    return SubmitSm(
        service_type=pdu.service_type,
        source_addr_ton=pdu.source_addr_ton,
        source_addr_npi=pdu.source_addr_npi,
        source_addr=pdu.source_addr,
        dest_addr_ton=destination.ton,
        dest_addr_npi=destination.npi,
        destination_addr=destination.address,
        esm_class=pdu.esm_class,
        protocol_id=pdu.protocol_id,
        priority_flag=pdu.priority_flag,
        schedule_delivery_time=pdu.schedule_delivery_time,
        validity_period=pdu.validity_period,
        registered_delivery=pdu.registered_delivery,
        replace_if_present_flag=pdu.replace_if_present_flag,
        data_coding=pdu.data_coding,
        sm_default_msg_id=pdu.sm_default_msg_id,
        short_message=pdu.short_message,
        tlvs=pdu.tlvs,
    )
