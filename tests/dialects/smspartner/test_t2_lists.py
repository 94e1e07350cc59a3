"""SMS Partner's STOP list, statistics and look-up."""

import json
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from smspartner_desk import PROLOG, account, ask, code_of, get, never, post, read

from chappe.core.http import Request, Response
from chappe.core.model import (
    AddOptOut,
    Costs,
    Moment,
    MonthCost,
    OptOut,
    OptOutAdded,
    OptOuts,
    ReadOptOuts,
    Ready,
    Removed,
    RemoveOptOut,
)
from chappe.dialects.smspartner import dialect
from chappe.dialects.smspartner.countries import COUNTRIES

ONE = "+33600000001"


def same(command: Any) -> Any:
    return command


class TestStopList:
    ENTRY = OptOut(19, ONE, datetime(2015, 7, 20, 8, 19, 45, tzinfo=UTC))

    def test_5_8_the_golden_example(self) -> None:
        assert isinstance(read(get("stop-sms/list")), ReadOptOuts)
        assert ask(get("stop-sms/list"), lambda command: OptOuts((self.ENTRY,))) == Response(
            200,
            "application/json",
            b'{"success":true,"code":200,"nbData":1,"data":'
            b'[{"id":19,"phoneNumber":"+33600000001","createdAt":"2015-07-20 10:19:45"}]}',
        )

    def test_in_xml(self) -> None:
        response = ask(get("stop-sms/list", _format="xml"), lambda command: OptOuts((self.ENTRY,)))
        assert response.body.decode() == (
            f"{PROLOG}<result><entry>true</entry><entry>200</entry><entry>1</entry><entry><entry><entry>19</entry>"
            "<entry><![CDATA[+33600000001]]></entry><entry><![CDATA[2015-07-20 10:19:45]]></entry>"
            "</entry></entry></result>"
        )

    @pytest.mark.parametrize("form", ["json", "xml"])
    def test_an_empty_list_is_a_list(self, form: str) -> None:
        response = ask(get("stop-sms/list", _format=form), lambda command: OptOuts(()))
        if form == "json":
            assert response.body == b'{"success":true,"code":200,"nbData":0,"data":[]}'
        else:
            assert [entry.text for entry in ElementTree.fromstring(response.body)] == ["true", "200", "0", None]


class TestStopAdd:
    @pytest.mark.parametrize(
        "values",
        [
            {"phoneNumber": "0600000001"},
            {"phoneNumbers": "+33 6 00 00 00 01"},
            {"phonenumber": 33600000001},
            {"phoneNumbers": ["0600000001"]},
            {"phoneNumber": "0600000001,"},
        ],
    )
    def test_a_number_is_read_under_both_names(self, values: dict[str, Any]) -> None:
        command = read(post("stop-sms/add", values))
        assert command == AddOptOut(command.account, ONE)

    def test_5_8_the_golden_example(self) -> None:
        response = ask(post("stop-sms/add", {"phoneNumber": ONE}), lambda command: OptOutAdded(300))
        assert response == Response(200, "application/json", b'{"success":true,"code":200,"stopId":300}')

    def test_a_number_that_is_there_is_code_3(self) -> None:
        assert code_of(ask(post("stop-sms/add", {"phoneNumber": ONE}), lambda c: OptOutAdded(300, known=True))) == 3

    @pytest.mark.parametrize(
        ("written", "code"),
        [
            (None, 2),
            ("", 2),
            (",", 2),
            ("abc", 9),
            ("922264", 9),
            ("+33000000000", 9),
            ("0600000001,0600000002", 9),
            ({"a": 1}, 9),
        ],
    )
    def test_what_is_no_number_is_refused(self, written: Any, code: int) -> None:
        assert code_of(ask(post("stop-sms/add", {"phoneNumber": written}), never)) == code


class TestStopDelete:
    @pytest.mark.parametrize("written", ["19", 19])
    def test_5_8_the_golden_example(self, written: Any) -> None:
        request = post("stop-sms/delete", {"id": written})
        command = read(request)
        assert command == RemoveOptOut(command.account, 19)
        assert ask(request, lambda c: Removed(True)).body == b'{"success":true,"code":200}'

    def test_an_unknown_id_is_code_4(self) -> None:
        assert code_of(ask(get("stop-sms/delete", id=19), lambda c: Removed(False))) == 4
        assert code_of(ask(get("stop-sms/delete", id=19), lambda c: Removed(False, protected=True))) == 40

    @pytest.mark.parametrize(("written", "code"), [(None, 3), ("", 3), ("x", 4), ("-1", 4), ("9" * 19, 4)])
    def test_an_id_is_required_and_is_a_number(self, written: Any, code: int) -> None:
        assert code_of(ask(post("stop-sms/delete", {"id": written}), never)) == code


def costs(now: datetime, **values: Any) -> tuple[datetime, datetime]:
    request = get("statistics/cost-resume", **values)
    command: Any = dialect.read(dialect.open(request), account(), Moment(now))
    return command.since, command.until


class TestStatistics:
    OCTOBER = MonthCost(datetime.fromtimestamp(1633039200, UTC), 49_174_000, 1210)

    def test_5_7_the_golden_example(self) -> None:
        request = get("statistics/cost-resume", interval="last_month")
        assert ask(request, lambda command: Costs((self.OCTOBER,))) == Response(
            200,
            "application/json",
            b'{"success":true,"datas":[{"month":"october","year":"2021","m":"10","date":1633039200,"type":"month",'
            b'"cost":"49.174","nb_send":"1210"}]}',
        )

    def test_in_xml(self) -> None:
        request = get("statistics/cost-resume", interval="last_month", _format="xml")
        root = ElementTree.fromstring(ask(request, lambda command: Costs((self.OCTOBER,))).body)
        assert root[0].text == "true"
        row = ["october", "2021", "10", "1633039200", "month", "49.174", "1210"]
        assert [[entry.text for entry in entries] for entries in root[1]] == [row]

    @pytest.mark.parametrize(
        ("now", "values", "since", "until"),
        [
            # Paris is one hour ahead in winter, two in summer; its month begins before that of UTC.
            ("2026-03-04T10:00", {"interval": "last_month"}, "2026-01-31T23:00", "2026-02-28T23:00"),
            ("2026-03-31T22:30", {"interval": "last_month"}, "2026-02-28T23:00", "2026-03-31T22:00"),
            ("2026-01-15T10:00", {"interval": "last_month"}, "2025-11-30T23:00", "2025-12-31T23:00"),
            ("2026-03-04T10:00", {"interval": "last_twelve_months"}, "2025-03-31T22:00", "2026-03-31T22:00"),
            ("2026-12-04T10:00", {"interval": "last_twelve_months"}, "2025-12-31T23:00", "2026-12-31T23:00"),
            (
                "2026-03-04T10:00",
                {"interval": "custom", "from": "25-10-2025", "to": "26-10-2025"},
                "2025-10-24T22:00",
                "2025-10-26T23:00",
            ),
            (
                "2026-03-04T10:00",
                {"interval": "custom", "from": "1-3-2026", "to": "1-3-2026"},
                "2026-02-28T23:00",
                "2026-03-01T23:00",
            ),
        ],
    )
    def test_intervals_are_days_of_paris(self, now: str, values: dict[str, str], since: str, until: str) -> None:
        at = [datetime.fromisoformat(f"{written}+00:00") for written in (now, since, until)]
        assert costs(at[0], **values) == (at[1], at[2])

    @pytest.mark.parametrize(
        ("values", "code"),
        [
            ({}, 9),
            ({"interval": "last_week"}, 9),
            ({"interval": "custom"}, 45),
            ({"interval": "custom", "from": "01-01-2026"}, 45),
            ({"interval": "custom", "from": "01/01/2026", "to": "02/01/2026"}, 49),
            ({"interval": "custom", "from": "31-02-2026", "to": "01-03-2026"}, 49),
            ({"interval": "custom", "from": "02-01-2026", "to": "01-01-2026"}, 49),
            ({"interval": "custom", "from": "01-01-2016", "to": "01-01-2026"}, 49),
            ({"interval": "custom", "from": "01-01-9999", "to": "31-12-9999"}, 49),
            ({"interval": "custom", "from": "01-01-0001", "to": "01-01-0001"}, 49),
        ],
    )
    def test_what_is_no_interval_is_refused(self, values: dict[str, str], code: int) -> None:
        assert code_of(ask(get("statistics/cost-resume", **values), never)) == code


class TestLookup:
    def test_5_11_the_golden_example(self) -> None:
        request = post("lookup", {"phoneNumbers": "33612345678, +2126"})
        assert isinstance(read(request), Ready)
        assert ask(request, same) == Response(
            200,
            "application/json",
            b'{"success":true,"code":200,"lookup":['
            b'{"request":"33612345678","success":true,"countryCode":"France","prefixCode":33,'
            b'"phoneNumber":"+33612345678","type":"Mobile","network":"","format":{"e164":"+33612345678",'
            b'"international":"+33 6 12 34 56 78","national":"06 12 34 56 78","rfc3966":"tel:+33-6-12-34-56-78"}},'
            rb'{"request":" +2126","success":false,'
            b'"message":"Le num\\u00e9ro de t\\u00e9l\\u00e9phone est vide ou n\'est pas valide."}]}',
        )

    def test_in_xml(self) -> None:
        root = ElementTree.fromstring(
            ask(post("lookup", {"phoneNumbers": "0140000001,x", "_format": "xml"}), same).body
        )
        good, bad = root[2]
        assert [entry.text for entry in good[:7]] == [
            "0140000001",
            "true",
            "France",
            "33",
            "+33140000001",
            "Fixed line",
            None,
        ]
        assert [entry.text for entry in good[7]] == [
            "+33140000001",
            "+33 1 40 00 00 01",
            "01 40 00 00 01",
            "tel:+33-1-40-00-00-01",
        ]
        assert [entry.text for entry in bad] == ["x", "false", "Le numéro de téléphone est vide ou n'est pas valide."]

    @pytest.mark.parametrize(
        ("written", "country", "prefix", "kind"),
        [
            ("0692123456", "La Réunion", 262, "Mobile"),
            ("+4930123456", "Allemagne", 49, "Fixed line"),
            ("+12015550123", "États-Unis", 1, "Mobile"),
            ("0800123456", "France", 33, "Toll free"),
            ("+883510000000094", "", 883, "VoIP"),
        ],
    )
    def test_numbers_of_other_kinds_and_countries(self, written: str, country: str, prefix: int, kind: str) -> None:
        (found,) = json.loads(ask(post("lookup", {"phoneNumbers": written}), same).body)["lookup"]
        assert (found["success"], found["countryCode"], found["prefixCode"], found["type"]) == (
            True,
            country,
            prefix,
            kind,
        )

    def test_english_is_spoken_to_accounts_that_want_it(self) -> None:
        body = json.loads(ask(post("lookup", {"phoneNumbers": "x"}), same, account(message_language="en")).body)
        assert body["lookup"][0]["message"] == "The phone number is empty or not valid."

    @pytest.mark.parametrize("value", [["0612345678", " +2126 "], "0612345678, +2126 ", [612345678, 2126]])
    def test_arrays_and_lists_are_read_alike(self, value: Any) -> None:
        assert len(json.loads(ask(post("lookup", {"phoneNumbers": value}), same).body)["lookup"]) == 2

    def test_what_was_asked_is_echoed_untrimmed_but_not_without_end(self) -> None:
        body = json.loads(ask(post("lookup", {"phoneNumbers": ["  0612345678 ", "x" * 5_000]}), same).body)
        assert [entry["request"] for entry in body["lookup"]] == ["  0612345678 ", "x" * 64]

    @pytest.mark.parametrize(
        ("value", "code"),
        [
            (None, 2),
            ("", 2),
            ("  ", 2),
            ([], 2),
            ("0612345678;0612345679", 19),
            ("0612345678|0612345679", 19),
            (",".join(["0612345678"] * 501), 50),
            ("," * 5_001, 50),
        ],
    )
    def test_what_is_no_list_is_refused(self, value: Any, code: int) -> None:
        assert code_of(ask(post("lookup", {"phoneNumbers": value}), never)) == code

    @pytest.mark.parametrize("value", [",", ", ,", [" "]])
    def test_only_commas_are_no_number_to_look_up(self, value: Any) -> None:
        assert json.loads(ask(post("lookup", {"phoneNumbers": value}), never).body)["code"] == 55

    def test_a_plus_that_came_as_a_blank_is_a_plus(self) -> None:
        response = ask(Request("GET", "/v1/lookup", b"apiKey=KEY&phoneNumbers=+33612345678"), same)
        assert json.loads(response.body)["lookup"][0]["request"] == "+33612345678"

    @given(st.from_regex(r"\+33(6[0-24-8]|7[3-9])[0-9]{7}", fullmatch=True))
    def test_french_mobiles_are_written_as_the_library_writes_them(self, e164: str) -> None:
        (found,) = json.loads(ask(post("lookup", {"phoneNumbers": e164}), same).body)["lookup"]
        parsed, form = phonenumbers.parse(e164), phonenumbers.PhoneNumberFormat
        assert found["format"] == {
            "e164": e164,
            "international": phonenumbers.format_number(parsed, form.INTERNATIONAL),
            "national": phonenumbers.format_number(parsed, form.NATIONAL),
            "rfc3966": phonenumbers.format_number(parsed, form.RFC3966),
        }

    def test_every_region_of_the_library_has_a_name(self) -> None:
        assert set(COUNTRIES) == set(phonenumbers.SUPPORTED_REGIONS)
        assert all(name == name.strip() and len(name) > 3 for name in COUNTRIES.values())
        assert len(set(COUNTRIES.values())) == len(COUNTRIES)
