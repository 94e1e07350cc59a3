"""Ctrl-C in the terminal: the signal goes to the whole process group, and it is we who unbind each session.

Also the session to the handset, which therefore ends last.
"""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest
from program import Program
from scripted_smsc import Smsc, listening

from chappe.smpp.session import Reason

ROUNDS = 5


@pytest.mark.asyncio
async def test_every_carrier_s_session_ends_with_an_unbind(tmp_path: Path) -> None:
    async with listening() as first, listening() as second:
        program = Program(tmp_path / "var", demo=True)
        await asyncio.to_thread(program.start)
        carriers: list[Smsc] = [first, second]
        for number, smsc in enumerate(carriers):
            await asyncio.to_thread(
                program.command, "carrier", "add", f"carrier-{number}", "--host", "127.0.0.1", "--port",
                str(smsc.port), "--system-id", "us", "--password", "secret",
            )  # fmt: skip
        for turn in range(1, ROUNDS + 1):
            for smsc in carriers:
                await smsc.until(lambda smsc=smsc, turn=turn: len(smsc.binds) == turn and smsc.bound, 30.0)
            assert program.process is not None
            os.killpg(program.process.pid, signal.SIGINT)
            assert await asyncio.to_thread(program.process.wait, 30) == 0
            for smsc in carriers:
                await smsc.until(lambda smsc=smsc, turn=turn: len(smsc.closed) == turn)
                assert smsc.closed[-1].reason is Reason.UNBOUND_BY_PEER
            assert "carrier_unbinds" not in program.errors, "the handset did not wait for us"
            assert "process_killed" not in program.errors
            if turn < ROUNDS:
                await asyncio.to_thread(program.start)
