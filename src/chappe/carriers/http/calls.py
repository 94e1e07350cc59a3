"""The calls of a service over HTTP, as chappe.carriers.calls has them. Pure."""

from __future__ import annotations

from typing import Final

from chappe.carriers import MessageIn, ReceiptIn
from chappe.carriers.calls import NamedReply
from chappe.carriers.http import callbacks, replies, signatures
from chappe.carriers.http.options import CallbackSign, HttpProfile
from chappe.carriers.http.profiles import callback_url
from chappe.core.http import Request, Response

RAW_BYTES_MAX: Final = 65_536


class HttpCalls:
    """See carriers.calls.Calls. name: the carrier's; password: of the service, the usual key of signatures."""

    def __init__(self, name: str, password: str, made: HttpProfile) -> None:
        self.secret = made.callback_secret
        self._name = name
        self._key = made.callback_key or password
        self._made = made

    def is_genuine(self, request: Request, now_s: float) -> bool:
        made = self._made
        if made.callback_sign is CallbackSign.SMSGATE:
            return signatures.is_smsgate(request.body, request.headers, self._key, now_s)
        if made.callback_sign is CallbackSign.TWILIO and made.public_url:
            what = request.path.rpartition("/")[2]
            url = callback_url(made, self._name, what)
            if request.query:
                url += "?" + request.query.decode("latin-1")
            fields = callbacks.fields_of(self._raw(request))
            return signatures.is_twilio(url, fields, request.headers, self._key)
        return True

    def raw(self, request: Request) -> bytes:
        return self._raw(request) if request.query or request.body else b""

    def receipts(self, raw: bytes) -> list[ReceiptIn]:
        return [
            ReceiptIn(
                0,
                one.reference,
                one.number,
                one.state,
                one.word,
                one.error,
                raw[:RAW_BYTES_MAX],
                reason=one.reason,
                oddities=() if one.known else ("unknown_word",),
            )
            for one in callbacks.receipts(raw, self._made)
        ]

    def replies(self, raw: bytes) -> list[NamedReply]:
        found = []
        for one in callbacks.replies(raw, self._made):
            message = MessageIn(
                0, one.number, one.to, replies.stored(one, raw), replies.key_of(one, raw), replies.message_of(one)
            )
            found.append(NamedReply(message, bool(one.reply_id)))
        return found

    def response(self) -> Response:
        made = self._made
        if not made.callback_body:
            return Response(200, "text/plain; charset=utf-8", b"OK\n")
        return Response(200, made.callback_type, made.callback_body.encode())

    def _raw(self, request: Request) -> bytes:
        return callbacks.raw_of(request.headers.get("content-type", ""), request.query, request.body)
