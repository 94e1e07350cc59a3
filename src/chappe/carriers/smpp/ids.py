"""How receipts of an SMPP carrier name messages: ids in another base, case or padding, and the rule. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from chappe.carriers.kind import Ids, Learnt, Stray
from chappe.smpp import pdu, receipts
from chappe.smpp.header import DecodeError
from chappe.smpp.message_ids import Learner, bounded, canonical, variants
from chappe.smpp.pdu import DataSm, DeliverSm
from chappe.smpp.profile import IdFormat, Profile

PADDED_WIDTH_MAX: Final = 20  # to which carriers fill ids with zeros


class SmppIds(Ids):
    """See carriers.kind.Ids. learnt: the stored rule."""

    def __init__(self, profile: Profile, learnt: tuple[str, str], *, learns: bool) -> None:
        self._profile = profile
        self._known = IdFormat(learnt[0]), IdFormat(learnt[1])
        self.learns = learns

    def read(self, raw: bytes) -> Stray:
        try:
            found = pdu.decode(raw)
        except DecodeError:
            return Stray()
        if not isinstance(found, DeliverSm | DataSm):
            return Stray()
        text = found.short_message if isinstance(found, DeliverSm) else b""
        receipt = receipts.read(text, found.tlvs, self._profile)
        ids = tuple(id.replace("\x00", "") for id in (receipt.id, receipt.other_id) if id)
        addresses = (found.source_addr.decode("latin-1"), found.destination_addr.decode("latin-1"))
        return Stray(ids, addresses)

    def forms(self, ids: Iterable[str]) -> set[str]:
        """Another base, case or padding."""
        bare = {form for id in ids for _, form in variants(id) if form}
        cased = bare | {form.upper() for form in bare}
        padded = {form.zfill(width) for form in cased for width in range(len(form), PADDED_WIDTH_MAX + 1)}
        return {bounded(form) for form in cased | padded}

    def learn(self, before: Learnt | None, pairs: Sequence[tuple[str, str]]) -> Learnt:
        fixed = None if IdFormat.LEARN in self._known else self._known
        learner: Learner = Learner(fixed=fixed) if before is None else before.state
        broken = False
        for answered, received in pairs:
            if learner.fixed is not None and canonical(received, learner.fixed[1]) == answered:
                continue  # it was answered when the rule was known, and received by a process that did not know it yet
            learner = learner.learn(answered, received)
            broken = broken or learner.changed
        rule = learner.fixed or (IdFormat.LEARN, IdFormat.LEARN)
        return Learnt((rule[0].value, rule[1].value), broken, learner)
