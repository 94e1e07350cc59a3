"""The one language between dialects and carriers: frozen values, the names of design's vocabulary.

Times are aware UTC datetimes in fields that end in `_at`; money is integers in micro-euros in fields that end in
`_micros`; numbers are E.164 with the plus.
"""

from __future__ import annotations

import enum
from datetime import datetime

import msgspec

from chappe.core.account import RECIPIENTS_MAX as RECIPIENTS_MAX
from chappe.core.account import Account as Account
from chappe.core.account import AccountSettings as AccountSettings
from chappe.core.account import AccountState as AccountState
from chappe.core.contacts import ContactCommand, ContactOutcome
from chappe.core.subaccounts import SubAccountCommand, SubAccountOutcome


class Moment(msgspec.Struct, frozen=True):
    """All time, chance and identity that an action may use.

    now: aware UTC; chance: 0 <= x < 1, fresh for each command that is no Send; secret: the installation's key, for
    public ids.
    """

    now: datetime
    chance: float = 0.5
    secret: bytes = b""


class Range(enum.IntEnum):
    """Quality of delivery that the customer pays for; `gamme` of SMS Partner has the same numbers."""

    PREMIUM = 1
    LOWCOST = 2


class Recipient(msgspec.Struct, frozen=True):
    """One message to be.

    number: E.164; text: its own where it differs from the submission's; price_micros: of all parts.
    """

    number: str
    parts: int
    price_micros: int
    written: str = ""
    text: str | None = None
    warnings: tuple[str, ...] = ()


class Skipped(msgspec.Struct, frozen=True):
    """A recipient that gets nothing and costs nothing.

    reason: number_invalid, number_not_mobile, price_missing, opted_out; where the items of one request stand or fail
    alone also number_malformed, text_missing, text_too_long, lowcost_too_long. number: E.164 where it has that form.
    place: which item of the request it was, from 0, where the answer lists items.
    """

    written: str
    reason: str
    number: str = ""
    place: int = 0


class Send(msgspec.Struct, frozen=True):
    """Accept these messages: what a dialect made of a request, checked but for credit, opt-outs and the sending window.

    text is what is sent, mention included; unicode forces UCS-2 where GSM-7 would do. sandbox: answered, not sent,
    not charged. scheduled_at: not before then. public_ids: the answer needs one public id a message. report_taken:
    report_url also hears that the carrier has taken a message. report_skipped: it hears who is skipped, since the
    answer to the request does not say it. answer: the dialect's own, what its write() needs of the request.
    """

    account: Account
    dialect: str
    text: str
    recipients: tuple[Recipient, ...]
    skipped: tuple[Skipped, ...] = ()
    sender: str = ""
    range: Range = Range.PREMIUM
    transactional: bool = False
    unicode: bool = False
    flash: bool = False
    sandbox: bool = False
    scheduled_at: datetime | None = None
    schedule_strict: bool = False  # a schedule outside the sending window is refused, not held
    tag: str = ""
    campaign: str = ""
    client_reference: str = ""
    report_url: str = ""
    reply_url: str = ""
    report_taken: bool = False
    report_skipped: bool = False
    virtual_number: bool = False  # the sender is a long number of the account
    public_ids: bool = False
    warnings: tuple[str, ...] = ()
    unique_identifier: str = (
        ""  # the caller's own; another Send of the account with the same one within a day is refused
    )
    answer: object = None

    @property
    def cost_micros(self) -> int:
        if len(self.recipients) == 1:  # nearly always, and asked for several times a request
            return self.recipients[0].price_micros
        return sum([r.price_micros for r in self.recipients])

    @property
    def parts(self) -> int:
        if len(self.recipients) == 1:
            return self.recipients[0].parts
        return sum([r.parts for r in self.recipients])

    @property
    def is_at_home(self) -> bool:
        """Whether it has one recipient, of metropolitan France: nearly always."""
        return len(self.recipients) == 1 and self.recipients[0].number.startswith("+33")


class Simulate(msgspec.Struct, frozen=True):
    """Tell what would become of a Send: nothing is stored, sent or charged, and no credit is needed."""

    send: Send


class ReadBalance(msgspec.Struct, frozen=True):
    """Tell the account's balance and, if `waiting`, how many of its parts wait to leave: that has to be counted."""

    account: Account
    waiting: bool = True


class Ready(msgspec.Struct, frozen=True):
    """Nothing has to be asked or stored: the dialect knows the answer already. value: the dialect's own."""

    account: Account
    value: object = None


class Selector(msgspec.Struct, frozen=True):
    """Messages of one submission, all of them or those to one number (E.164)."""

    submission_id: int
    number: str = ""


class ReadMessages(msgspec.Struct, frozen=True):
    """Tell the state of messages, selector by selector; those of other accounts are not found."""

    account: Account
    selectors: tuple[Selector, ...]


class ReadTagged(msgspec.Struct, frozen=True):
    """Tell the state of all messages whose submission has this tag: page from 1, page_size messages a page."""

    account: Account
    tag: str
    page: int = 1
    page_size: int = 500


class ReadMessage(msgspec.Struct, frozen=True):
    """Tell the state of one message by its id."""

    account: Account
    message_id: int


class Cancel(msgspec.Struct, frozen=True):
    """Take back what of a submission has not left, if at least lead_s seconds remain until it leaves."""

    account: Account
    submission_id: int
    lead_s: float = 300.0


class ReadOptOuts(msgspec.Struct, frozen=True):
    """List the numbers that want nothing more from this account, oldest first."""

    account: Account


class AddOptOut(msgspec.Struct, frozen=True):
    """Put a number (E.164) on the account's list. comment: stop, refused, manual."""

    account: Account
    number: str
    comment: str = "manual"


class RemoveOptOut(msgspec.Struct, frozen=True):
    """Take an entry off the account's list, by its id."""

    account: Account
    id: int


class ReadReplies(msgspec.Struct, frozen=True):
    """List replies: new=True those since the previous such call of the account; else those of one submission, or of one
    message. limit: at most so many, oldest first."""

    account: Account
    new: bool = False
    submission_id: int | None = None
    message_id: int | None = None
    limit: int = 1000


class OfSubAccount(msgspec.Struct, frozen=True):
    """Ask the same of another account, of which the caller is the master. login: whose data; command: the caller's."""

    account: Account
    login: str
    command: Ready | ReadBalance | ReadMessages | ReadMessage | ReadOptOuts | ReadReplies | ContactCommand


class ReadCosts(msgspec.Struct, frozen=True):
    """Sum up what was charged and sent, month by month of Europe/Paris, between two instants."""

    account: Account
    since: datetime
    until: datetime


Command = (
    ContactCommand
    | SubAccountCommand
    | Send
    | Simulate
    | ReadBalance
    | Ready
    | ReadMessages
    | ReadTagged
    | ReadMessage
    | Cancel
    | ReadOptOuts
    | AddOptOut
    | RemoveOptOut
    | ReadReplies
    | OfSubAccount
    | ReadCosts
)


class Accepted(msgspec.Struct, frozen=True):
    """A submission is durable, and charged unless it is a sandbox one.

    message ids are submission_id * 65536 + the recipient's place in command.recipients. public_ids: one each, in
    that order, when the command asked for them. balance_micros: what is left afterwards. held: some of it waits for the
    sending window.
    """

    submission_id: int
    command: Send
    balance_micros: int
    public_ids: tuple[str, ...] = ()
    held: bool = False


class Simulated(msgspec.Struct, frozen=True):
    """What Simulate found: the command less the recipients that have opted out, and the balance, untouched."""

    command: Send
    balance_micros: int


class Balance(msgspec.Struct, frozen=True):
    """What ReadBalance found; to_send is 0 where it was not asked for."""

    account: Account
    balance_micros: int
    to_send: int


class MessageStatus(msgspec.Struct, frozen=True):
    """One message as its customer may see it.

    state: the lifecycle's word, as derived from all that is known (`submitted`, not `queued`, once a carrier has it).
    at: when it came to that state; accepted_at: when it was accepted. opted_out: the recipient is on the account's list
    now.
    """

    submission_id: int
    message_id: int
    recipient: str
    state: str
    at: datetime
    accepted_at: datetime
    cost_micros: int
    parts: int
    reason: str = ""
    opted_out: bool = False
    tag: str = ""
    client_reference: str = ""


class MessagesFound(msgspec.Struct, frozen=True):
    """groups: for each selector its messages, in their order; None where there is no such submission of this account,
    empty where no message of it fits. total: of ReadTagged, how many there are over all pages."""

    groups: tuple[tuple[MessageStatus, ...] | None, ...]
    total: int = 0


class Cancelled(msgspec.Struct, frozen=True):
    """result: cancelled, already (it was before, or ended before it left), too_late (less than the lead remains), sent
    (nothing was left to take back). messages: how many; refunded_micros: what came back."""

    submission_id: int
    result: str
    messages: int = 0
    refunded_micros: int = 0


class OptOut(msgspec.Struct, frozen=True):
    """One entry of an account's list. comment: stop (by a reply), refused, manual."""

    id: int
    number: str
    at: datetime
    comment: str = "stop"


class OptOuts(msgspec.Struct, frozen=True):
    entries: tuple[OptOut, ...]


class OptOutAdded(msgspec.Struct, frozen=True):
    """known: it was on the list before; then id is that entry's."""

    id: int
    known: bool = False


class Removed(msgspec.Struct, frozen=True):
    """found: whether it was taken off. protected: there is such an entry, and it stays: it is the word of a subscriber
    or of the operator."""

    found: bool
    protected: bool = False


class Reply(msgspec.Struct, frozen=True):
    """A message of a subscriber to an account, whole.

    number: who wrote, E.164; to: the long number (E.164) or short code that was written to, empty when unknown.
    submission_id, message_id: the conversation it answers, None when unknown. kind: response, or stop. parts: the text
    of each part as it arrived; reference: of a long one. target: whom to tell; dialect: in whose words.
    client_reference: the customer's own id of the submission that it answers."""

    id: int
    number: str
    to: str
    text: str
    at: datetime
    kind: str = "response"
    submission_id: int | None = None
    message_id: int | None = None
    public_id: str = ""
    parts: tuple[str, ...] = ()
    reference: int = 0
    long_number: bool = False
    dialect: str = ""
    target: str = ""
    method: str = "GET"
    client_reference: str = ""


class Replies(msgspec.Struct, frozen=True):
    entries: tuple[Reply, ...]
    client_reference: str = ""


class MonthCost(msgspec.Struct, frozen=True):
    """month: its first instant in Europe/Paris; cost_micros: charged less given back; messages: sent, less those
    whose price came back."""

    month: datetime
    cost_micros: int
    messages: int


class Costs(msgspec.Struct, frozen=True):
    months: tuple[MonthCost, ...]


Outcome = (
    ContactOutcome
    | SubAccountOutcome
    | Accepted
    | Simulated
    | Balance
    | Ready
    | MessagesFound
    | Cancelled
    | OptOuts
    | OptOutAdded
    | Removed
    | Replies
    | Costs
)


class Report(msgspec.Struct, frozen=True):
    """News of one message for its customer; the dialect words it.

    state: the lifecycle's name of the state. public_id: as in Accepted. reason: the stable word for why, where known.
    """

    dialect: str
    submission_id: int
    message_id: int
    public_id: str
    recipient: str
    state: str
    at: datetime
    cost_micros: int
    target: str
    tag: str = ""
    client_reference: str = ""
    reason: str = ""
    method: str = "GET"


def message_id(submission_id: int, place: int) -> int:
    """The id of a submission's message by its place; contiguous, so that a submission is a range of ids."""
    return submission_id << 16 | place


def submission_of(message_id: int) -> int:
    return message_id >> 16
