"""What subscribers answered: told to customers who ask."""

from __future__ import annotations

from msgspec.structs import replace

from chappe.actions.statuses import IDS_MAX
from chappe.core.errors import Refusal
from chappe.core.model import Moment, ReadReplies, Replies, Reply, message_id, submission_of
from chappe.core.publicid import public_id
from chappe.store import replies
from chappe.store.database import Database

LIMIT_MAX = 10_000


async def read_replies(database: Database, command: ReadReplies, moment: Moment) -> Replies:
    """Those since the last such call, or those of one submission or message. Raises Refusal not_found."""
    account_id = command.account.id
    limit = max(1, min(command.limit, LIMIT_MAX))
    if command.new:
        return Replies(_named(await replies.since_last(database, account_id, limit), moment))
    if command.message_id is not None:
        first = last = command.message_id
    elif command.submission_id is not None:
        first, last = message_id(command.submission_id, 0), message_id(command.submission_id, 0xFFFF)
    else:
        return Replies(())
    reference = None
    if 0 < first < IDS_MAX << 16:
        reference = await replies.client_reference(database, account_id, submission_of(first))
    if reference is None:
        raise Refusal("not_found")
    found = await replies.of_messages(database, account_id, first, last, limit)
    return Replies(_named(found, moment), reference)


def _named(found: list[Reply], moment: Moment) -> tuple[Reply, ...]:
    """The replies with the public id of the message that each answers."""
    return tuple(named(reply, moment.secret) for reply in found)


def named(reply: Reply, secret: bytes) -> Reply:
    """The reply with the public id of the message that it answers."""
    return reply if reply.message_id is None else replace(reply, public_id=public_id(secret, reply.message_id))
