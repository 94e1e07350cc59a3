"""The journal over restarts: messages, receipts and replies come back, and nothing comes twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chappe.handset import journal as journals
from chappe.handset.journal import JournalError
from chappe.handset.settings import Settings
from chappe.handset.smsc import Smsc
from chappe.smpp import receipts
from chappe.smpp.events import Received
from chappe.smpp.pdu import CancelSm
from chappe.smpp.profile import profile

PROFILE = profile("generic")


def id_of(pdu: Any) -> str:
    return receipts.read(pdu.short_message, pdu.tlvs, PROFILE).id


@pytest.mark.asyncio
async def test_a_restart_keeps_messages_receipts_and_replies(running: Any, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "handset.journal"
    async with running(journal=path) as bench:
        client = await bench.bound()
        _, done = await client.submit(b"done", registered_delivery=1)
        bench.turn(1)
        await client.deliver()
        await client.ask_nothing()
        _, open_id = await client.submit(b"\x05\0\x03\x07\x02\x02world", esm_class=0x40, registered_delivery=1)
        _, cancelled = await client.submit(b"cancelled", registered_delivery=1)
        await client.ask(CancelSm(message_id=cancelled))
        await bench.http("POST", "/handset/replies", {"from": "+33600000001", "to": "36111", "text": "Hi"})
        await client.next(Received)
        before = await bench.get("/handset/messages")
    async with running(journal=path) as bench:
        assert await bench.get("/handset/messages") == before
        client = await bench.bound(system_id=b"client")
        reply = await client.deliver()
        assert reply.short_message == b"Hi"
        bench.turn(2)
        said = [event.pdu for event in await client.quiet() if isinstance(event, Received)]
        assert [id_of(pdu) for pdu in said] == [open_id.decode()]
        assert int((await client.submit())[1]) > int(cancelled) > int(done)
        await client.submit(b"\x05\0\x03\x07\x02\x01Hello ", esm_class=0x40)
        assert (await bench.get("/handset/messages"))[0]["text"] == "Hello world"
        for pdu in said:
            client.session.answer(pdu.sequence)
        await client.ask_nothing()
        assert bench.smsc.exchange.pending == 0
    async with running(journal=path) as bench:
        assert bench.smsc.exchange.pending == 0


@pytest.mark.asyncio
async def test_deleted_messages_stay_deleted_and_their_receipts_stay_due(running: Any, tmp_path: Path) -> None:
    path = tmp_path / "journal"
    async with running(journal=path) as bench:
        client = await bench.bound()
        _, id = await client.submit(registered_delivery=1)
        await bench.http("DELETE", "/handset/messages")
    for _ in range(2):
        async with running(journal=path) as bench:
            assert await bench.get("/handset/messages") == []
            client = await bench.bound()
            bench.turn(1)
            received = await client.next(Received)
            assert id_of(received.pdu) == id.decode()


@pytest.mark.asyncio
async def test_what_is_answered_is_in_the_file_already(running: Any, tmp_path: Path) -> None:
    path = tmp_path / "journal"
    async with running(journal=path) as bench:
        client = await bench.bound()
        _, id = await client.submit(registered_delivery=1)
        assert id in path.read_bytes()
        assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.asyncio
async def test_a_line_cut_by_a_crash_is_dropped(running: Any, tmp_path: Path) -> None:
    path = tmp_path / "journal"
    async with running(journal=path) as bench:
        client = await bench.bound()
        await client.submit(b"one")
        await client.submit(b"two")
        octets = path.read_bytes()
    path.write_bytes(octets[:-20])
    async with running(journal=path) as bench:
        assert [message["text"] for message in await bench.get("/handset/messages")] == ["one"]


@pytest.mark.parametrize("octets", [b"nonsense\n", b'["taken",1]\n', b'["unknown"]\n', b"\xff\n"])
@pytest.mark.asyncio
async def test_a_file_that_is_no_journal_is_refused_and_kept(tmp_path: Path, octets: bytes) -> None:
    path = tmp_path / "journal"
    path.write_bytes(octets)
    smsc = Smsc(Settings(journal=path))
    with pytest.raises(JournalError, match="line 1 of"):
        await smsc.start(port=0)
    assert path.read_bytes() == octets


@pytest.mark.asyncio
async def test_the_file_is_written_anew_before_it_grows_without_end(
    running: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journals, "_LINES_SPARE", 10)
    path = tmp_path / "journal"
    async with running(journal=path, messages_max=5) as bench:
        client = await bench.bound()
        for number in range(200):
            await client.submit(str(number).encode())
            assert path.read_bytes().count(b"\n") <= 2 * 5 + 10 + 1
        await client.submit(b"last")
    async with running(journal=path, messages_max=5) as bench:
        assert (await bench.get("/handset/messages"))[0]["text"] == "last"


@pytest.mark.asyncio
async def test_a_disk_that_refuses_ends_the_memory_and_not_the_service(running: Any, tmp_path: Path) -> None:
    async with running(journal=tmp_path / "journal") as bench:
        client = await bench.bound()
        bench.smsc.exchange._memory._journal._descriptor = -1
        assert (await client.submit())[0] == 0
        assert (await client.submit())[0] == 0
        assert len(await bench.get("/handset/messages")) == 2


def test_a_journal_of_large_messages_is_written_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its limit on lines alone would let it grow to gigabytes."""
    monkeypatch.setattr(journals, "_OCTETS_SPARE", 1_000)
    file = journals.Journal(tmp_path / "journal")
    file.rewrite([])
    assert not file.is_overgrown(0)
    for number in range(200):
        file.add(journals.Reported(number, 0))
    file.commit()
    assert file.is_overgrown(0)
    file.rewrite([])
    assert not file.is_overgrown(0)
    file.close()
