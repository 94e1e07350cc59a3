"""kill -9 of every process under load: storm.py, small and with a fixed seed. `make crash` runs the long one."""

from __future__ import annotations

from pathlib import Path

from storm import PARTS, Storm

MESSAGES, RATE, SEED = 300, 40.0, 2


def test_no_death_loses_a_message_sends_it_twice_or_loses_money(tmp_path: Path) -> None:
    report = Storm(tmp_path, MESSAGES, RATE, len(PARTS), SEED).run()
    assert report["wrong"] == [], report
    assert report["asked"] == MESSAGES
    assert report["accepted"] > MESSAGES / 3, report  # a storm in which nothing is accepted proves nothing
    assert set(report["killed"]) == set(PARTS)
