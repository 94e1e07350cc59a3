"""SMPP times: both forms, both ways, and what is no time."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.smpp import times

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("octets", "meant"),
    [
        (b"", None),
        (b"260201083000000+", datetime(2026, 2, 1, 8, 30, tzinfo=UTC)),
        (b"260201083000504+", datetime(2026, 2, 1, 7, 30, 0, 500_000, tzinfo=UTC)),
        (b"260201083000008-", datetime(2026, 2, 1, 10, 30, tzinfo=UTC)),
        (b"000000010000000R", NOW + timedelta(hours=1)),
        (b"000002000030500R", NOW + timedelta(days=2, seconds=30, milliseconds=500)),
        (b"000100000000000R", datetime(2026, 2, 28, 12, 0, tzinfo=UTC)),
        (b"020100000000000R", datetime(2028, 2, 29, 12, 0, tzinfo=UTC)),
    ],
)
def test_a_time_is_read_as_the_instant_it_means(octets: bytes, meant: datetime | None) -> None:
    assert times.parse(octets, NOW) == meant


@pytest.mark.parametrize(
    "octets",
    [
        b"2602010830",
        b"261301083000000+",
        b"260230083000000+",
        b"260201083000049+",
        b"260201083000000Z",
        b"x" * 16,
        b"260201083000000+\n",
    ],
)
def test_what_is_no_time_is_refused(octets: bytes) -> None:
    with pytest.raises(times.TimeError):
        times.parse(octets, NOW)


@given(st.datetimes(datetime(2000, 1, 2), datetime(2099, 12, 30)), st.integers(-12, 12))
def test_an_absolute_time_survives_writing_and_reading(naive: datetime, offset_h: int) -> None:
    moment = naive.replace(
        microsecond=naive.microsecond // 100_000 * 100_000, tzinfo=timezone(timedelta(hours=offset_h))
    )
    assert times.parse(times.format_absolute(moment), NOW) == moment


@given(st.integers(0, 32 * 86400 - 1))
def test_a_relative_time_survives_writing_and_reading(seconds: int) -> None:
    octets = times.format_relative(timedelta(seconds=seconds))
    assert len(octets) == 16
    assert times.parse(octets, NOW) == NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize("span", [timedelta(seconds=-1), timedelta(days=32)])
def test_a_span_that_cannot_be_said_is_refused(span: timedelta) -> None:
    with pytest.raises(times.TimeError):
        times.format_relative(span)


@pytest.mark.parametrize("year", [1999, 2100])
def test_a_year_that_two_digits_cannot_say_is_refused(year: int) -> None:
    with pytest.raises(times.TimeError):
        times.format_absolute(datetime(year, 6, 1, tzinfo=UTC))
