"""Waiting for room on a full disk: told once, ended by room or by the order to stop."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from chappe.embedded import disk_space
from chappe.embedded.disk_space import waited_for_room

pytestmark = pytest.mark.asyncio


async def test_with_room_nobody_waits_and_nothing_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert not await waited_for_room(tmp_path, asyncio.Event())
    assert caplog.records == []


async def test_without_room_it_waits_until_there_is_some(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(disk_space, "LOOK_S", 0.01)
    monkeypatch.setattr(disk_space, "ROOM_OCTETS_MIN", 1 << 62)
    with caplog.at_level(logging.ERROR):
        waiting = asyncio.ensure_future(waited_for_room(tmp_path, asyncio.Event()))
        while len(caplog.records) < 1:  # noqa: ASYNC110 - one turn of the loop
            await asyncio.sleep(0)
        monkeypatch.setattr(disk_space, "ROOM_OCTETS_MIN", 1)
        assert await asyncio.wait_for(waiting, 60)
    assert len(caplog.records) == 1


async def test_the_order_to_stop_ends_the_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk_space, "LOOK_S", 1e9)
    monkeypatch.setattr(disk_space, "ROOM_OCTETS_MIN", 1 << 62)
    stopping = asyncio.Event()
    waiting = asyncio.ensure_future(waited_for_room(tmp_path, stopping))
    await asyncio.sleep(0)
    stopping.set()
    assert await asyncio.wait_for(waiting, 60)
