"""A message for later: it waits, leaves at its time, and its timeline tells so."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from program import until

if TYPE_CHECKING:
    from program import Program

PHONE = "+33612345601"


def bring_forward(program: Program, submission_id: int, due: datetime) -> None:
    """Moves a scheduled message to `due`.

    By SQL, since a schedule names a multiple of five minutes: the next one may be five minutes away.
    """
    asyncio.run(
        program.rows(
            """with moved as (update outbox set key = (extract(epoch from $2::timestamptz) * 1000000)::bigint
                                 where message_id = $1 << 16 returning message_id, key)
               update message m set key = moved.key from moved where m.id = moved.message_id""",
            submission_id,
            due,
        )
    )


def test_a_scheduled_message_leaves_at_its_time(phones: Program) -> None:
    key = phones.account("scheduler")
    tomorrow = datetime.now(ZoneInfo("Europe/Paris")) + timedelta(days=1)
    answer = phones.send(
        key, PHONE, "à demain", scheduledDeliveryDate=tomorrow.strftime("%d/%m/%Y"), time=12, minute=30
    ).json()
    assert answer["scheduledDeliveryDate"] == tomorrow.strftime("%Y-%m-%d 12:30:00")
    number = str(answer["message_id"])
    assert phones.json("message", number)["messages"][0]["state"] == "scheduled"
    assert phones.phones.messages(PHONE) == []

    due = datetime.now(UTC) + timedelta(seconds=2)
    bring_forward(phones, answer["message_id"], due)
    (shown,) = phones.phones.wait_for(PHONE)
    late_s = (datetime.fromisoformat(shown["received_at"]) - due).total_seconds()
    assert 0 <= late_s < 30, "and not at the next full minute, or the next day"

    told = until(
        lambda: next((one for one in phones.json("message", number)["messages"] if one["state"] == "delivered"), None),
        "the receipt",
    )
    lines = json.dumps(told)
    for word in ("scheduled", "released", "submitted", "delivered"):
        assert word in lines, told
