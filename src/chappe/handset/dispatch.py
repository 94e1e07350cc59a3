"""Deliveries on their way: from mailboxes over sessions that receive, in turn, until they are acknowledged."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from chappe.handset.link import Link
from chappe.handset.mailbox import Delivery, Mailbox, retry_delay_s
from chappe.handset.settings import Settings
from chappe.smpp.header import EncodeError
from chappe.smpp.session import SessionError

ANYBODY = ""  # the mailbox whose content any receiving session may take


class Dispatch:
    """Mailboxes by system_id, and the sessions that receive.

    later: enters a call that is due in so many seconds; ended: told once for each delivery, with whether the peer took
    it (else it was given up).
    """

    def __init__(
        self,
        settings: Settings,
        later: Callable[..., None],
        ended: Callable[[Delivery, bool], None],
    ) -> None:
        self._settings = settings
        self._later = later
        self._ended = ended
        self._mailboxes: dict[str, Mailbox] = {}
        self._receivers: dict[str, list[Link]] = {}
        self._turn = 0

    def put(self, delivery: Delivery) -> None:
        """One more delivery; it leaves at once when a session has room."""
        mailbox = self._mailboxes.get(delivery.system_id)
        if mailbox is None:
            mailbox = self._mailboxes[delivery.system_id] = Mailbox()
        mailbox.put(delivery)
        self.pump(delivery.system_id)

    def pump(self, system_id: str) -> None:
        """Sends what is ready to whoever may take it."""
        mailbox = self._mailboxes.get(system_id)
        if mailbox is None:
            return
        ready = mailbox.ready
        while ready:
            link = self._next_receiver(system_id)
            if link is None:
                return
            delivery = ready.popleft()
            try:
                link.session.deliver(delivery.pdu, delivery, link.wire.now())
            except (SessionError, EncodeError):
                self._end(delivery, False)  # this peer cannot be told, as one without TLVs about a message_payload
                continue
            link.delivered += 1
            link.wire.flush()
        if not self._receivers.get(system_id):
            del self._mailboxes[system_id]

    def pump_for(self, link: Link) -> None:
        """A session has room again."""
        if link.system_id is not None:
            self.pump(link.system_id)
            if link.system_id != ANYBODY:
                self.pump(ANYBODY)

    def settle(self, delivery: Delivery, status: int | None) -> None:
        """A delivery was answered with a status, or (None) not in time: done, or tried again later."""
        if delivery.done:
            return
        if status == 0:
            self._end(delivery, True)
            return
        delivery.attempts += 1
        settings = self._settings
        if delivery.attempts >= settings.attempts_max:
            self._end(delivery, False)
            return
        self._later(retry_delay_s(delivery.attempts, settings.retry_s_min, settings.retry_s_max), self._again, delivery)

    def join(self, link: Link) -> None:
        """A session is bound."""
        assert link.system_id is not None
        if link.receives:
            self._receivers.setdefault(link.system_id, []).append(link)
            self.pump_for(link)

    def leave(self, link: Link, unacknowledged: Iterable[Delivery]) -> None:
        """A session is gone, with these deliveries not acknowledged: they are the first for the next one."""
        links = self._receivers.get(link.system_id or "", [])
        if link in links:
            links.remove(link)
            if not links:
                del self._receivers[link.system_id or ""]
                self.pump(link.system_id or "")  # an empty mailbox goes
        returned: dict[str, list[Delivery]] = {}
        for delivery in unacknowledged:
            # The session that is gone may still hold the PDU: a copy has a sequence number of its own.
            delivery.pdu = replace(delivery.pdu)
            returned.setdefault(delivery.system_id, []).append(delivery)
        for system_id, deliveries in returned.items():
            self._mailboxes.setdefault(system_id, Mailbox()).give_back(deliveries)
            self.pump(system_id)

    def _next_receiver(self, system_id: str) -> Link | None:
        """In turn, those that have a free place."""
        links = self._receivers.get(system_id, [])
        if system_id == ANYBODY:
            links = [link for others in self._receivers.values() for link in others]
        self._turn += 1
        for step in range(len(links)):
            link = links[(self._turn + step) % len(links)]
            if link.free:
                return link
        return None

    def _again(self, delivery: Delivery) -> None:
        if not delivery.done:
            delivery.pdu = replace(delivery.pdu)  # a late answer may still come for the one that was sent
            self.put(delivery)

    def _end(self, delivery: Delivery, taken: bool) -> None:
        delivery.done = True
        self._ended(delivery, taken)
