"""Forms of message ids: each can be read back, and no two numbers share one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from chappe.handset.ids import IdFormat, write

NUMBER = 48_879


@pytest.mark.parametrize(
    ("form", "written"),
    [
        (IdFormat.DECIMAL, "48879"),
        (IdFormat.HEX, "beef"),
        (IdFormat.UPPER, "BEEF"),
        (IdFormat.PADDED, "00000000000000048879"),
        (IdFormat.HEX_PADDED, "000000000000beef"),
    ],
)
def test_forms_are_written_as_carriers_do(form: IdFormat, written: str) -> None:
    assert write(NUMBER, form) == written


@given(some.sets(some.integers(0, 2**60), min_size=2, max_size=20), some.sampled_from(list(IdFormat)))
def test_no_two_numbers_share_an_id_and_all_fit_the_field(numbers: set[int], form: IdFormat) -> None:
    written = {write(number, form) for number in numbers}
    assert len(written) == len(numbers)
    assert all(len(id) <= 64 and id.isascii() for id in written)
