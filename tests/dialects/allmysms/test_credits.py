"""Credits of AllMySMS: what is shown never promises more than there is, and never less than is needed."""

from hypothesis import given
from hypothesis import strategies as st

from chappe.dialects.allmysms.credits import CREDIT_MICROS, credits_left, credits_needed

amounts = st.integers(0, 10**13)


def test_fifteen_credits_are_one_part_to_france() -> None:
    assert credits_left(45_000) == credits_needed(45_000) == 15
    assert (credits_left(44_999), credits_needed(44_999)) == (14, 15)
    assert credits_left(-1) == 0


@given(amounts)
def test_credits_lose_less_than_one(amount_micros: int) -> None:
    assert 0 <= amount_micros - credits_left(amount_micros) * CREDIT_MICROS < CREDIT_MICROS
    assert 0 <= credits_needed(amount_micros) * CREDIT_MICROS - amount_micros < CREDIT_MICROS
