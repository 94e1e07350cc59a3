"""The references that scripts/write-reference makes are current."""

import runpy
from pathlib import Path

import pytest

from chappe.carriers.http.options import OPTIONS
from chappe.carriers.http.presets import PRESETS

ROOT = Path(__file__).parent.parent
SCRIPT = runpy.run_path(str(ROOT / "scripts" / "write-reference"))


@pytest.mark.parametrize("name", SCRIPT["PAGES"])
def test_a_reference_is_current(name: str) -> None:
    stored = (ROOT / "docs" / "operators" / name).read_text(encoding="utf-8")
    assert stored == SCRIPT["PAGES"][name](), "run scripts/write-reference"


def test_every_option_of_a_carrier_is_on_its_page() -> None:
    page = SCRIPT["carrier_reference"]()
    assert [name for name in SCRIPT["KNOBS"] if f"| `{name}` |" not in page] == []
    assert "| `statuses` | code:class[:reason[:sentence]];..." in page


def test_every_preset_and_option_of_a_carrier_over_http_is_on_its_page() -> None:
    page = SCRIPT["http_reference"]()
    for name in (*PRESETS, *OPTIONS):
        assert f"| `{name}` |" in page, name
    assert "| `callback_secret` | text | none | the secret in the addresses that the service calls (*secret*) |" in page
