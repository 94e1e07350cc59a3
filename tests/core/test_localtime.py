"""Written local time and instants."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.core import localtime

BEFORE = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("local", "expected"),
    [
        (datetime(2030, 1, 15, 9, 0), datetime(2030, 1, 15, 8, 0)),  # winter: +1
        (datetime(2030, 7, 15, 9, 0), datetime(2030, 7, 15, 7, 0)),  # summer: +2
        (datetime(2030, 3, 31, 1, 55), datetime(2030, 3, 31, 0, 55)),  # the last minutes before the jump
        (datetime(2030, 3, 31, 2, 0), datetime(2030, 3, 31, 1, 0)),  # skipped: 02:00 means 03:00
        (datetime(2030, 3, 31, 2, 30), datetime(2030, 3, 31, 1, 30)),  # skipped: 02:30 means 03:30
        (datetime(2030, 3, 31, 3, 0), datetime(2030, 3, 31, 1, 0)),
        (datetime(2030, 10, 27, 2, 30), datetime(2030, 10, 27, 0, 30)),  # comes twice: the first
    ],
)
def test_local_time_of_paris_becomes_one_instant(local: datetime, expected: datetime) -> None:
    assert localtime.instant(local, BEFORE) == expected.replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "hour_utc"),
    [
        (datetime(2030, 10, 27, 0, 30, tzinfo=UTC), 0),  # the first coming is just now
        (datetime(2030, 10, 27, 0, 31, tzinfo=UTC), 1),  # the first is past, the second is not
        (datetime(2030, 10, 27, 1, 31, tzinfo=UTC), 0),  # both are past: the first, and past it is
    ],
)
def test_a_time_that_comes_twice_is_the_one_still_to_come(now: datetime, hour_utc: int) -> None:
    assert localtime.instant(datetime(2030, 10, 27, 2, 30), now) == datetime(2030, 10, 27, hour_utc, 30, tzinfo=UTC)


def test_other_zones_have_their_own_clock() -> None:
    assert localtime.instant(datetime(2030, 1, 15, 9, 0), BEFORE, "Indian/Reunion") == datetime(
        2030, 1, 15, 5, 0, tzinfo=UTC
    )


@pytest.mark.parametrize(
    ("at", "day", "written"),
    [
        (datetime(2030, 1, 14, 22, 59, 59, 999_999, tzinfo=UTC), date(2030, 1, 14), "2030-01-14 23:59:59"),
        (datetime(2030, 1, 14, 23, 0, tzinfo=UTC), date(2030, 1, 15), "2030-01-15 00:00:00"),
        (datetime(2030, 7, 14, 22, 0, tzinfo=UTC), date(2030, 7, 15), "2030-07-15 00:00:00"),
    ],
)
def test_instants_are_written_in_the_zone(at: datetime, day: date, written: str) -> None:
    assert localtime.local_date(at) == day
    assert localtime.written(at) == written


def test_the_end_of_a_day_is_the_next_midnight() -> None:
    assert localtime.end_of_day(date(2030, 12, 31)) == datetime(2031, 1, 1)
    with pytest.raises(OverflowError):
        localtime.end_of_day(date.max)


@given(st.datetimes(datetime(2000, 1, 1), datetime(2090, 1, 1)))
def test_an_instant_is_written_as_it_was_given_unless_the_clocks_skip_it(local: datetime) -> None:
    local = local.replace(microsecond=0)
    written = datetime.fromisoformat(localtime.written(localtime.instant(local, BEFORE)))
    assert written - local in (timedelta(0), timedelta(hours=1))
