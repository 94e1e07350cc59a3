"""When a turn of the pump is worth it, and how much it claims: docs/decisions/0021."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from scripted_smsc import Smsc, listening
from shop import Shop, eventually, opened

from chappe.carriers.registry import kind_of, policy_of, rules_of
from chappe.carriers.smpp.transport import Wire
from chappe.embedded.server import ConnectionParameters
from chappe.smpp.pdu import SubmitSm
from chappe.store import bind_turn, binds, carriers
from chappe.store.binds import BindKey
from chappe.workers.bind_driver import Pump
from chappe.workers.in_flight import Rules

pytestmark = pytest.mark.asyncio


async def delivered(shop: Shop, smsc: Smsc, window: int, count: int) -> None:
    """Sends so many messages through a pump of its own, to the last answer."""
    carrier_id = await shop.carrier(port=smsc.port, window=window)
    account = await shop.account()
    await shop.messages(account, count, now=datetime.now(UTC), transactional=True)
    carrier = next(one for one in await carriers.all_carriers(shop.database) if one.id == carrier_id)
    taken = await binds.take(shop.database, BindKey(carrier_id, 0), "me", 60)
    assert taken is not None
    rules = Rules(carrier_id, *rules_of(carrier))
    policy = policy_of(carrier).receipts
    pump = Pump(
        shop.database,
        BindKey(carrier_id, 0),
        taken,
        lambda wake: kind_of(carrier).link(carrier, wake),
        rules,
        policy,
        "red",
        lambda: None,
    )
    task = asyncio.create_task(pump.run())
    try:
        await eventually(lambda: shop.database.value("select count(*) = $1 from reference", count))
    finally:
        await pump.stop()
        await asyncio.wait([task])
    assert await shop.in_flight() == []


@pytest.mark.parametrize(("window", "halves"), [(100, True), (60, False), (7, False)])
async def test_a_large_window_is_claimed_in_halves_and_never_more_than_is_free(
    database: ConnectionParameters, monkeypatch: pytest.MonkeyPatch, window: int, halves: bool
) -> None:
    claims: list[tuple[int, int, int]] = []
    turn = bind_turn.turn

    async def watched(*given: Any, **more: Any) -> list[bind_turn.Claimed]:
        still, want = given[6], given[8]
        assert isinstance(still, Sequence)
        claimed = await turn(*given, **more)
        claims.append((len(still), want, len(claimed)))
        return claimed

    monkeypatch.setattr(bind_turn, "turn", watched)
    held: list[tuple[Wire, SubmitSm]] = []
    async with opened(database) as shop, listening() as smsc:

        def together(wire: Wire, pdu: SubmitSm) -> None:
            """All that a window holds is answered at once, as by a carrier that takes its time."""
            held.append((wire, pdu))
            if len(held) == window or len(smsc.submits) == 4 * window:
                for one in held:
                    smsc.take(*one)
                held.clear()

        smsc.on_submit = together
        await delivered(shop, smsc, window, 4 * window)
        assert len(smsc.submits) == 4 * window
    assert all(still + want <= window for still, want, _ in claims)
    later = [claimed for _, _, claimed in claims if claimed][1:]
    assert (max(later) == window // 2) is halves
