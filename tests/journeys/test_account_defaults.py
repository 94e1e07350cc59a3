"""What the configuration sets for all accounts holds at the next start for those that exist; limits over processes."""

from __future__ import annotations

import time
from pathlib import Path

from program import Program, until

BEFORE = (
    'price_premium_micros = 41000\n[account_defaults]\nmessage_language = "en"\nmessages_per_number_per_hour = 30\n'
)
AFTER = "price_premium_micros = 42000\n"
WRONG = '[account_defaults]\nwindow = "none"\n'
SHARING_S = 30.0


def test_defaults_hold_for_accounts_that_exist_and_limits_are_shared(tmp_path: Path) -> None:
    data = tmp_path / "var"
    data.mkdir()
    (data / "chappe.toml").write_text(BEFORE)
    with Program(data, arguments=["--api-processes", "2"]) as program:
        key, own = program.account("plain"), program.account("own")
        program.command("account", "set", "own", "price_premium=0.050")
        assert program.send(key, "+33612345678", "x").json()["cost"] == 0.041
        assert program.send(own, "+33612345678", "x").json()["cost"] == 0.05
        assert program.send("wrong", "+33612345678", "x").json()["message"] == "Invalid API key"
        # Each of two processes knows its own part; within seconds both know all.
        sent, ends = 1, time.monotonic() + SHARING_S
        while program.send(key, "+33612345678", "x").json()["code"] == 200:
            sent += 1
            assert time.monotonic() < ends
        assert 30 <= sent <= 120  # twice the limit, and once more should the hour end meanwhile
        until(
            lambda: {program.send(key, "+33612345678", "x").json()["code"] for _ in range(20)} == {429},
            "both processes to refuse",
            SHARING_S,
        )
        assert "account_limit_reached" in program.errors
    (data / "chappe.toml").write_text(AFTER)
    with program:
        assert program.send(key, "+33612345679", "x").json()["cost"] == 0.042
        assert program.send(own, "+33612345679", "x").json()["cost"] == 0.05
        assert program.send("wrong", "+33612345678", "x").json()["message"] == "Clef API incorrecte"
    (data / "chappe.toml").write_text(WRONG)
    told = program.command("serve", expect=2)
    assert "account_defaults: window is each account's own" in told.stderr
