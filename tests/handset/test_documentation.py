"""docs/operators/handset.md has the table of switches, line by line; tests/docs has the magic numbers."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from chappe.handset.chaos import CALM, SWITCHES

TEXT = (Path(__file__).parents[2] / "docs" / "operators" / "handset.md").read_text()


def test_every_switch_stands_there_with_its_value_and_meaning() -> None:
    for key, meaning in SWITCHES.items():
        assert f"| `{key}` | `{json.dumps(asdict(CALM)[key])}` | {meaning} |" in TEXT
