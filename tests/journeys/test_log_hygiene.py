"""No key, number or text in a log: ordinary and hostile traffic at the most talkative level, then a search for them."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import http.client
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from program import Phones, Program, Smsc, ask, until

if TYPE_CHECKING:
    from receivers import Receiver

PHONE, STOPPER, UNKNOWN = "+33612345678", "+33698765432", "+33677889911"
TEXT, REPLY, TOKEN, PASSWORD = "Mot de passe Zanzibar", "Oui Kilimandjaro", "jeton-Tombouctou", "Ouagadougou!"
GUESS = "0123456789abcdef-Antananarivo"
# How each may be written; of numbers the nine digits that every form of one has.
SECRETS = re.compile(
    r"612345678|698765432|677889911|6[ .-]?12[ .-]?34[ .-]?56[ .-]?78|Zanzibar|Kilimandjaro|Tombouctou|Ouagadougou"
    r"|Antananarivo|" + TEXT.encode().hex() + "|" + TEXT.encode("utf-16-be").hex()
)


def test_nothing_of_a_customer_is_in_logs_and_metrics(tmp_path: Path, receive: Callable[[], Receiver]) -> None:
    program = Program(tmp_path / "var", demo=True, arguments=["--log-level", "debug", "--log-format", "json"])
    with program, Smsc(tmp_path) as smsc:
        key = program.account("shop", "--email", "owner@example.com")
        hook = receive()
        program.command("account", "set", "shop", f"replies_url={hook.url}/r?token={TOKEN}")
        program.command(
            "carrier", "add", "dead", "--host", "127.0.0.1", "--port", "1", "--system-id", "us", "--password", PASSWORD
        )
        program.add_carrier(smsc)
        _ordinary(program, smsc.phones, key, hook, receive)
        _hostile(program, key)
        asyncio.run(_trouble(program))
        program.kill("work")
        program.kill("api")
        until(program.is_ready, "readiness after the kills")
        assert program.send(key, PHONE, TEXT).json()["code"] == 200
        metrics = ask(f"{program.url}/metrics").text
        assert "chappe_" in metrics
    log = program.errors
    assert len(log.splitlines()) > 25, "a silent log proves nothing"
    assert "terminat" in log, "the database's errors were logged too"
    for name, written in (("log", log), ("metrics", metrics)):
        found = SECRETS.search(written)
        assert found is None, (name, written[max(0, found.start() - 300) : found.end() + 100])
        assert key not in written, name
    demo = (tmp_path / "var" / "demo-key").read_text().strip()
    assert demo not in log
    leaks = [line for line in _lines(program.output) if SECRETS.search(line) or key in line]
    assert leaks == []


def _lines(text: str) -> list[str]:
    return text.splitlines()


def _ordinary(program: Program, phones: Phones, key: str, hook: Receiver, receive: Callable[[], Receiver]) -> None:
    wish = {"urlDlr": f"{hook.url}/dlr?token={TOKEN}", "urlResponse": f"{hook.url}/r?token={TOKEN}", "tag": "t"}
    assert program.send(key, PHONE, TEXT, **wish).json()["code"] == 200
    refusing = receive()
    refusing.status = 500
    for target in (f"{refusing.url}/x?token={TOKEN}", "http://192.0.2.1/" + TOKEN):
        program.send(key, PHONE, TEXT, urlDlr=target)
    assert program.send(key, PHONE, TEXT, urlDlr=f"http://u:{TOKEN}@127.0.0.1:1/").json()["code"] != 200
    form = {"login": "shop", "apiKey": key, "message": TEXT, "mobile": "06 12 34 56 78", "returnformat": "json"}
    ask(f"{program.url}/http/9.0/?{urlencode(form)}")
    phones.wait_for(PHONE, 4)
    phones.reply(PHONE, "36111", REPLY)
    program.send(key, STOPPER, TEXT)
    phones.wait_for(STOPPER)
    phones.reply(STOPPER, "36111", "STOP " + REPLY)
    phones.reply(UNKNOWN, "36111", REPLY)  # answers nothing
    hook.wait_for(lambda each: REPLY in each.body.decode(errors="replace"))
    until(lambda: program.send(key, STOPPER, TEXT).json().get("code") != 200, "the STOP to hold")
    hook.wait_for(lambda each: b"delivered" in each.body)


def _hostile(program: Program, key: str) -> None:
    bodies = [
        b'{"apiKey":"' + key.encode() + b'","phoneNumbers":"' + PHONE.encode() + b'","message":"' + TEXT.encode(),
        b'{"apiKey":"' + GUESS.encode() + b'","phoneNumbers":"0612345678","message":"\\ud800' + TEXT.encode() + b'"}',
        b'{"apiKey":"' + key.encode() + b'","phoneNumbers":["0612345678",{"a":[' + b"[" * 500,
        b"apiKey=" + key.encode() + b"&message=%ff%fe" + TEXT.encode() + b"&phoneNumbers=06.12.34.56.78&sender=\x00",
        b"smsData=<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><DATA><MESSAGE>" + TEXT.encode() + b"&x;",
        b'{"apiKey":"'
        + key.encode()
        + b'","SMSList":[{"phoneNumber":"'
        + PHONE.encode()
        + b'","message":'
        + b"9" * 5000,
    ]
    for path in (
        "/v1/send",
        "/v1/bulk-send",
        "/v1/" + GUESS,
        "/http/9.0/sendSms",
        "/sms/send",
        f"/{GUESS}",
        "/handset/replies",
    ):
        for body in bodies:
            token = base64.b64encode(f"shop:{GUESS}".encode()).decode()
            for headers in ({}, {"Authorization": f"Basic {token}", "X-Request-Id": PHONE}):
                ask(f"{program.url}{path}?apiKey={GUESS}&to={PHONE}", "POST", body, headers)
    raw = [
        f"GET /v1/send?apiKey={GUESS}&message={TEXT} HTTP/9.9\r\n\r\n",
        f"GET /v1/send?phoneNumbers={PHONE} HTTP/1.1\r\nHost: a\r\nno colon {GUESS}\r\n\r\n",
        f"POST /v1/send HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{GUESS}\r\n",
        f"{TEXT}\r\n",
    ]
    for text in raw:
        with socket.create_connection(("127.0.0.1", program.port), 5) as connection, contextlib.suppress(OSError):
            connection.sendall(text.encode())
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):
                pass


async def _trouble(program: Program) -> None:
    """Errors of the database while it works for us, of which it tells values."""
    for statement in (
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'chappe%'",
        f"insert into opt_out (account_id, number, at, source) values (null, '{PHONE}', now(), '{TEXT}')",
        f"insert into virtual_number (number, account_id) values ('{PHONE}', 1), ('{PHONE}', 1)",
        f"select '{TEXT}'::bigint",
    ):
        with contextlib.suppress(Exception):
            await program.rows(statement)
    with contextlib.suppress(OSError, http.client.HTTPException):
        ask(f"{program.url}/readyz")
