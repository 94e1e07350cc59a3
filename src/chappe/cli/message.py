"""`chappe send` and `chappe message`: a message from the terminal, and the timeline of one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from chappe.cli.installation import perform
from chappe.cli.output import Failure, Misuse, emit, one_line, table

if TYPE_CHECKING:
    from chappe.actions.timeline import Entry, MessageTimeline, SubmissionTimeline
    from chappe.actions.windows import Windows
    from chappe.config import Config
    from chappe.core.compose import Composed
    from chappe.core.errors import Refusal
    from chappe.core.model import Accepted, Account, AccountSettings, Range, Recipient, Send, Skipped
    from chappe.store.database import Database

DEMO = "demo"
RECIPIENTS_LISTED_MAX = 100
PARTS_MAX = 10
NUMBER_DIGITS_MAX = 15
TERMINAL = "terminal"


def send(
    config: Config,
    *,
    to: list[str],
    text: str,
    sender: str,
    login: str | None,
    range_: str,
    flash: bool,
    transactional: bool | None,
    as_json: bool,
) -> None:
    """Accepts messages as the listener would, for an account; prints the ids."""
    from msgspec.structs import replace

    from chappe.actions.carriers import RANGES
    from chappe.actions.windows import Windows
    from chappe.core.model import Range
    from chappe.core.window_profiles import read_profiles

    async def work(database: Database) -> tuple[Account, Send, Accepted | Refusal]:
        account = await _account(database, login)
        made = _send(account, to, text, sender, Range(RANGES[range_]), flash, config.sender_default)
        if transactional is not None:
            made = replace(made, transactional=transactional)
        return account, made, await _accept(database, made, Windows(read_profiles(config.windows)))

    from chappe.core.errors import Refusal
    from chappe.core.pricing import json_number

    account, made, outcome = perform(config, work)
    if isinstance(outcome, Refusal):
        raise Failure(_refused(outcome))
    made = outcome.command  # less those who have opted out
    count = len(made.recipients)
    messages = [
        {"id": outcome.submission_id << 16 | place, "public_id": public_id, "recipient": recipient.number}
        for place, (recipient, public_id) in enumerate(zip(made.recipients, outcome.public_ids, strict=True))
    ]
    document = {
        "submission": outcome.submission_id,
        "account": account.login,
        "parts": made.parts,
        "cost": json_number(made.cost_micros),
        "balance": json_number(outcome.balance_micros),
        "messages": messages,
        "skipped": [{"written": skipped.written, "reason": skipped.reason} for skipped in made.skipped],
    }
    lines = [
        f"submission {outcome.submission_id}: {count} message{'s' if count > 1 else ''}, {made.parts} part"
        f"{'s' if made.parts > 1 else ''}, {json_number(made.cost_micros)} EUR for {account.login}, "
        f"{json_number(outcome.balance_micros)} EUR left"
    ]
    lines += [f"  {m['recipient']}  {m['public_id']}" for m in messages[:RECIPIENTS_LISTED_MAX]]
    lines += [f"  {skipped.written}  skipped: {skipped.reason}" for skipped in made.skipped[:RECIPIENTS_LISTED_MAX]]
    emit(document, "\n".join(lines), as_json=as_json)


async def _account(database: Database, login: str | None) -> Account:
    """The account that sends: the one that was named, else demo, else the only one."""
    from chappe.actions import accounts
    from chappe.core.model import AccountState
    from chappe.store import accounts as store

    if login is not None:
        account = await accounts.get(database, login)
    else:
        found = await store.all_accounts(database)
        every = [account for account in found if account.state is AccountState.ACTIVE] or found
        demo = [account for account in every if account.login.lower() == DEMO]
        if not demo and len(every) != 1:
            raise Misuse("--account is needed: " + ("there is no account yet" if not every else "there are several"))
        account = (demo or every)[0]
    if account.state is not AccountState.ACTIVE:
        raise Failure(f"the account {account.login} is {account.state.name.lower()}")
    return account


def _send(
    account: Account, to: list[str], text: str, sender: str, range_: Range, flash: bool, sender_default: str
) -> Send:
    """The command for these recipients; raises Misuse and Failure."""
    from chappe.core.model import Send

    settings = account.settings
    from chappe.core.compose import warnings_of
    from chappe.core.numbers import warnings_of_numbers

    composed = _composed(text)
    _check_sender(sender)
    recipients, skipped = _recipients(settings, to, composed.parts, range_)
    return Send(
        account=account,
        dialect=TERMINAL,
        text=composed.text,
        recipients=recipients,
        skipped=skipped,
        sender=sender or settings.sender or sender_default,
        range=range_,
        transactional=settings.transactional,
        flash=flash,
        public_ids=True,
        report_url="",
        warnings=(*warnings_of(composed), *warnings_of_numbers(one.warnings for one in recipients)),
    )


def _composed(text: str) -> Composed:
    """The text as it is sent; raises Misuse."""
    from chappe.core import compose

    try:
        composed = compose.compose(text)
        composed.text.encode()
    except compose.TooLong:
        raise Misuse(f"--text: at most {compose.CHARACTERS_MAX} characters") from None
    except UnicodeEncodeError:
        raise Misuse("--text: is no Unicode text") from None
    if not composed.parts:
        raise Misuse("--text: the text is empty")
    if composed.parts > PARTS_MAX:
        raise Misuse(f"--text: this needs {composed.parts} parts, and a message has at most {PARTS_MAX}")
    return composed


def _check_sender(sender: str) -> None:
    from chappe.core.account_values import SENDER

    digits = sender.removeprefix("+")
    if not sender or (digits.isascii() and digits.isdecimal() and len(digits) <= NUMBER_DIGITS_MAX):
        return
    try:
        SENDER.parse(sender)
    except ValueError:
        raise Misuse(f"--sender: expected {SENDER.expects}, or a number") from None


def _recipients(
    settings: AccountSettings, to: list[str], parts: int, range_: Range
) -> tuple[tuple[Recipient, ...], tuple[Skipped, ...]]:
    """Each number once, with its price, and those that get nothing; raises Failure when nobody is left."""
    from chappe.core.model import RECIPIENTS_MAX, Range, Recipient, Skipped
    from chappe.core.pricelist import french_list, price_list
    from chappe.dialects.recipients import Numbers, Unreachable

    prices = (
        french_list(settings.price_lowcost_micros)
        if range_ is Range.LOWCOST
        else price_list(settings.price_premium_micros, settings.prices)
    )
    read = Numbers(prices, settings).read
    recipients: dict[str, Recipient] = {}
    skipped = []
    for written in (piece.strip() for item in to for piece in item.split(",") if piece.strip()):
        found = read(written)
        if isinstance(found, Unreachable):
            skipped.append(Skipped(written[:40], found.reason, found.e164))
        else:
            number, price_micros = found
            recipients[number.e164] = Recipient(
                number.e164, parts, price_micros * parts, written, None, number.warnings
            )
    if not recipients:
        why = ", ".join(f"{one.written} ({one.reason})" for one in skipped[:3])
        advice = _price_advice(skipped)
        raise Failure(f"no recipient is left that can be sent to: {why}{advice}" if why else "--to names no recipient")
    if len(recipients) + len(skipped) > RECIPIENTS_MAX:
        raise Misuse(f"--to: at most {RECIPIENTS_MAX} recipients")
    return tuple(recipients.values()), tuple(skipped)


def _price_advice(skipped: list[Skipped]) -> str:
    """How a destination gets a price, where one lacks it."""
    import phonenumbers

    number = next((one.number for one in skipped if one.reason == "price_missing"), "")
    if not number:
        return ""
    try:
        code = phonenumbers.parse(number).country_code
    except phonenumbers.NumberParseException:  # no country has this code, so nobody can give it a price
        return ""
    return f"; `chappe account set LOGIN price.{code}=0.05` gives an account a price for +{code}"


async def _accept(database: Database, made: Send, windows: Windows) -> Accepted | Refusal:
    """One transaction, and a call to the workers."""
    from chappe.actions import accept
    from chappe.core.errors import Refusal
    from chappe.core.model import Moment
    from chappe.store import accounts, carriers
    from chappe.store.channels import OUTBOX_CHANNEL

    router = await carriers.router(database)
    moment = Moment(datetime.now(UTC), secret=await accounts.installation_secret(database))
    try:
        placed = accept.place(made, moment.now, router, windows.of(made.account.settings))
    except Refusal as refusal:
        return refusal
    outcomes = await accept.accept(database, [placed], moment)
    await database.execute(f"notify {OUTBOX_CHANNEL}")
    return outcomes[0]


def _refused(refusal: Refusal) -> str:
    from chappe.core.pricing import json_number

    needed, balance = refusal.values.get("needed_micros"), refusal.values.get("balance_micros")
    if isinstance(needed, int) and isinstance(balance, int):
        return f"{refusal}: {json_number(needed)} EUR are needed, {json_number(balance)} EUR are left"
    return str(refusal)


def message(config: Config, id_: str, limit: int | None, *, as_json: bool) -> None:
    """Prints the timeline of what the id names."""

    async def work(database: Database) -> SubmissionTimeline | None:
        from chappe.actions import timeline

        try:
            return await timeline.find(database, id_, limit)
        except timeline.IdError as error:
            raise Misuse(str(error)) from error

    found = perform(config, work)
    if found is None:
        raise Failure(f"there is no message {one_line(id_)[:60]} here")
    emit(found, _text(found), as_json=as_json)


def _text(found: SubmissionTimeline) -> str:
    """A timeline for people."""
    head: list[tuple[str, Any]] = [
        ("submission", found.id),
        ("account", f"{found.account}, by {found.dialect}"),
        ("accepted", _at(found.created_at)),
        ("scheduled", _at(found.scheduled_at) if found.scheduled_at else ""),
        ("sender", found.sender),
        ("text", repr(found.text)),
        ("options", ", ".join(found.options)),
        ("money", f"{found.cost} EUR, charged {found.charged} EUR"),
        ("tag", found.tag),
        ("campaign", found.campaign),
        ("reference", found.client_reference),
        ("reports to", found.report_url),
        ("replies to", found.reply_url),
        ("states", ", ".join(f"{number} {state}" for state, number in found.states.items())),
    ]
    lines = [f"{name + ':':<15}{one_line(str(value))}" for name, value in head if value != ""]
    for one in found.messages:
        lines += ["", *_message_lines(one)]
    if found.more > 0:
        lines += ["", f"... and {found.more} more messages: --all or --limit shows them"]
    return "\n".join(lines)


def _message_lines(one: MessageTimeline) -> list[str]:
    reason = f" ({one.reason})" if one.reason else ""
    money = f"{one.price} EUR" + (f", {one.refunded} EUR given back" if one.refunded != "0" else "")
    parts = f"{one.parts_submitted} of {one.parts} parts submitted"
    lines = [f"{one.recipient}: {one.state}{reason}, {parts}, {money}", f"  id {one.id}, smsId {one.public_id}"]
    if one.text is not None:
        lines.append(f"  text: {one_line(repr(one.text))}")
    if one.queue is not None:
        where = (
            f"in the {one.queue.lane} lane of {one.queue.carrier}"
            if one.queue.carrier
            else "for a carrier that takes it"
        )
        due = f", due {_at(one.queue.due_at)}" if one.queue.due_at else ""
        ahead = f", {one.queue.ahead} ahead" if one.queue.ahead is not None else ""
        attempts = f", after {one.queue.attempts} attempts" if one.queue.attempts else ""
        lines.append(f"  waits {where}{due}{ahead}{attempts}")
        if one.queue.down is not None:
            why = f": {one.queue.down}" if one.queue.down else ""
            lines.append(f"  {one.queue.carrier} is down{why}")
    rows = [_entry(entry) for entry in one.entries]
    return lines + ["  " + line for line in table(("at (UTC)", "what", "detail"), rows).splitlines()]


def _entry(entry: Entry) -> tuple[str, str, str]:
    part = f"part {entry.part}: " if entry.part else ""
    return f"{entry.at:%Y-%m-%d %H:%M:%S.%f}"[:-3], entry.what.replace("_", " "), part + one_line(entry.detail)


def _at(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
