"""docs/handset.md has the tables of the code, line by line."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from chappe.handset.chaos import CALM, SWITCHES
from chappe.handset.magic_numbers import MAGIC

TEXT = (Path(__file__).parents[2] / "docs" / "handset.md").read_text()


def test_every_switch_stands_there_with_its_value_and_meaning() -> None:
    for key, meaning in SWITCHES.items():
        assert f"| `{key}` | `{json.dumps(asdict(CALM)[key])}` | {meaning} |" in TEXT


def test_every_magic_number_stands_there() -> None:
    for key, magic in MAGIC.items():
        assert f"| {key} | {magic.does} |" in TEXT
