"""SMS Partner's dialect driven as the listener drives it, with an action that the test provides."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from chappe.core.errors import Refusal
from chappe.core.http import Request, Response
from chappe.core.model import Account, AccountSettings, Moment
from chappe.dialects.smspartner import dialect

NOW = datetime(2026, 3, 4, 10, 0, tzinfo=UTC)  # a Wednesday, 11:00 in Paris
MOMENT = Moment(NOW)
PROLOG = "<?xml version='1.0' encoding='UTF-8'?>\n"

Action = Callable[[Any], Any]


def account(**own: Any) -> Account:
    """Serves the French zone and what it has prices for."""
    prices = {"": None, **own.pop("prices", {})}
    return Account(1, "demo", settings=AccountSettings(**{"stop_mention": " STOP 36111", "prices": prices, **own}))


def ask(request: Request, action: Action, owner: Account | None = None) -> Response:
    """The answer to a request; action: from the command to the outcome, or a Refusal that it raises."""
    owner = owner or account()
    call = None
    try:
        call = dialect.open(request)
        outcome = action(dialect.read(call, owner, MOMENT))
        return dialect.write(outcome, call, owner)
    except Refusal as refusal:
        return dialect.refuse(refusal, request, call, owner if call else None)


def get(page: str, /, **values: Any) -> Request:
    return Request("GET", f"/v1/{page}", urlencode({"apiKey": "KEY", **values}).encode())


def post(page: str, values: Mapping[str, Any]) -> Request:
    return Request("POST", f"/v1/{page}", body=json.dumps({"apiKey": "KEY", **values}).encode())


def read(request: Request, owner: Account | None = None) -> Any:
    """The command of a request; raises Refusal."""
    return dialect.read(dialect.open(request), owner or account(), MOMENT)


def code_of(response: Response) -> int:
    """The code of an error that has shape A, which is checked."""
    body = json.loads(response.body)
    assert list(body) == ["success", "code", "message"]
    assert body["success"] is False
    assert isinstance(body["message"], str)
    assert body["message"]
    assert response.status == 400
    code: int = body["code"]
    return code


def never(command: Any) -> Any:
    raise AssertionError(f"{type(command).__name__} was not refused")
