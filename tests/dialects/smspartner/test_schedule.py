"""When a send of SMS Partner is to leave, and what its date, hour and minute may be."""

from datetime import UTC, datetime
from typing import Any

import pytest

from chappe.core.model import AccountSettings
from chappe.dialects.smspartner.schedule import AT_ONCE, Schedule, read

NOW = datetime(2026, 3, 4, 10, 0, tzinfo=UTC)  # a Wednesday, 11:00 in Paris


def ask(
    day: object = "21/10/2030", time: object = 9, minute: object = 0, own: dict[str, Any] | None = None
) -> Schedule:
    values = {"scheduledDeliveryDate": day, "time": time, "minute": minute}
    given = {name: value for name, value in values.items() if value is not None}
    return read(given, AccountSettings(**(own or {})), NOW)


def violations_of(*args: Any, **kwargs: Any) -> list[tuple[str, str, str]]:
    return [(item.field, item.rule, item.value) for item in ask(*args, **kwargs).violations]


@pytest.mark.parametrize(
    ("day", "time", "minute", "at"),
    [
        ("21/10/2030", 9, 0, datetime(2030, 10, 21, 7, 0)),
        ("21/10/2030", "09", "05", datetime(2030, 10, 21, 7, 5)),
        ("21/12/2030", "9", "55", datetime(2030, 12, 21, 8, 55)),
        ("1/2/2030", 0, 0, datetime(2030, 1, 31, 23, 0)),
        ("31/12/2030", 24, 0, datetime(2030, 12, 31, 23, 0)),
        ("21/10/2030", 9.0, 5.0, datetime(2030, 10, 21, 7, 5)),
        (" 21/10/2030 ", " 9 ", " 0 ", datetime(2030, 10, 21, 7, 0)),
        ("04/03/2026", 11, 0, datetime(2026, 3, 4, 10, 0)),  # now is not past
        ("31/03/2030", 2, 30, datetime(2030, 3, 31, 1, 30)),  # an hour that the clocks skip
        ("27/10/2030", 2, 30, datetime(2030, 10, 27, 0, 30)),  # an hour that comes twice
        ("29/02/2028", 9, 0, datetime(2028, 2, 29, 8, 0)),
    ],
)
def test_it_is_local_time_of_paris(day: object, time: object, minute: object, at: datetime) -> None:
    assert ask(day, time, minute).at == at.replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("day", "time", "minute", "value"),
    [
        ("21/11/2014", None, None, "21/11/2014 à :"),
        ("21/11/2014", 9, None, "21/11/2014 à 9:"),
        ("21/11/2014", None, 30, "21/11/2014 à :30"),
        ("04/03/2026", 10, 55, "04/03/2026 à 10:55"),
        ("03/03/2026", 24, 0, "03/03/2026 à 24:0"),
        ("21/11/2014", "x", "y", "21/11/2014 à x:y"),
        ("01/01/0001", 0, 0, "01/01/0001 à 0:0"),
    ],
)
def test_the_past_is_a_violation(day: str, time: object, minute: object, value: str) -> None:
    missing = [("minute", "required", "")] * (minute is None) + [("time", "required", "")] * (time is None)
    assert violations_of(day, time, minute) == [("date", "past", value), *missing]


@pytest.mark.parametrize("day", ["21/10/2030", "04/03/2026"])
def test_minute_and_time_are_required_with_a_date(day: str) -> None:
    assert violations_of(day, None, None) == [("minute", "required", ""), ("time", "required", "")]
    assert violations_of(day, 23, None) == [("minute", "required", "")]
    assert violations_of(day, None, 0) == [("time", "required", "")]


@pytest.mark.parametrize(
    ("time", "minute", "at"),
    [(9, None, datetime(2030, 10, 21, 7, 0)), (None, 30, datetime(2030, 10, 20, 22, 30))],
)
def test_a_setting_reads_an_absent_value_as_0(time: object, minute: object, at: datetime) -> None:
    own = {"schedule_zero_may_be_absent": True}
    assert ask("21/10/2030", time, minute, own=own).at == at.replace(tzinfo=UTC)


def test_the_setting_does_not_help_when_both_are_absent() -> None:
    own = {"schedule_zero_may_be_absent": True}
    assert len(violations_of("21/10/2030", None, None, own=own)) == 2


@pytest.mark.parametrize(
    "day",
    [
        "2030-10-21",
        "21-10-2030",
        "31/02/2030",
        "29/02/2030",
        "00/10/2030",
        "21/13/2030",
        "21/10/30",
        "x",
        "٢١/10/2030",
        "31/12/9999",
        [1],
        "21/10/2030 09:00",
    ],
)
def test_a_date_badly_written_or_impossible_is_invalid(day: object) -> None:
    assert ask(day).refusal == "date_invalid"


@pytest.mark.parametrize("time", [25, -1, "x", "9h", "09:30", 9.5, "٩", True])
def test_an_hour_outside_the_day_is_invalid(time: object) -> None:
    assert ask(time=time).refusal == "time_invalid"


def test_24_hours_has_no_minutes() -> None:
    assert ask(time=24, minute=5).refusal == "time_invalid"


@pytest.mark.parametrize("minute", ["x", 2.5, "5m", "٥", [0]])
def test_a_minute_that_is_no_number_is_invalid(minute: object) -> None:
    assert ask(minute=minute).refusal == "minute_invalid"


@pytest.mark.parametrize("minute", [1, 7, 59, 60, 100, -5, "03"])
def test_minutes_go_in_steps_of_5(minute: object) -> None:
    assert ask(minute=minute).refusal == "minute_step"


@pytest.mark.parametrize("day", [None, "", " "])
def test_time_and_minute_without_a_date_are_ignored(day: str | None) -> None:
    assert ask(day, 99, 99) is AT_ONCE
