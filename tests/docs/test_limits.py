"""The page of limits names the settings and their defaults as the program has them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from chappe.config import SETTINGS
from chappe.core.account import AccountSettings

PAGE = (Path(__file__).parents[2] / "docs/operators/limits.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `([a-z_]+)` \| ([^|]+) \|", PAGE, re.MULTILINE)
INSTALLATION = {setting.name: setting for setting in SETTINGS}


def test_the_page_has_a_row_for_each_setting_that_protects() -> None:
    named = {name for name, _ in ROWS}
    wanted = {name for name in AccountSettings.__struct_fields__ if name.endswith(("_per_hour", "_per_day"))}
    assert wanted <= named
    assert {name for name in INSTALLATION if name.endswith(("_at_once", "_share"))} <= named


@pytest.mark.parametrize(("name", "written"), ROWS, ids=[name for name, _ in ROWS])
def test_a_default_is_the_one_of_the_program(name: str, written: str) -> None:
    if name in INSTALLATION:
        default: object = INSTALLATION[name].default
    else:
        field = f"{name}_micros" if name.startswith("spend_") else name
        default = getattr(AccountSettings(), field)
    words = {None: "`auto`", True: "on", False: "off", (): ("any", "none")}
    if isinstance(default, bool | tuple) or default is None:
        assert written.strip() in words[default]
    else:
        assert float(written.replace(",", "")) == default
