"""The STOP mention of a commercial text: is there one, and where to put it. What replies mean is in stop_replies.py."""

import re

from chappe.core.folding import fold

# After folding, a mention is the word and where to send it: `stop 36180`, `stop au 36 180`, `stop sms au 36180`,
# `stop 36xxx`. French short codes begin with 3; other numbers count only after a preposition, since taking "non stop
# 10000"
# for a mention would send a commercial text without one.
_SHORT_CODE = r"3 ?\d(?: ?[\dx]){3}"
_NUMBER = r"(?:\d(?: ?\d){4}|(?:33|0) ?\d(?: ?\d){8})"
_TO = r"(?:par )?(?:sms )?(?:au|to|a|vers) ?(?:le )?"
_MENTION = rf"stop ?(?:sms|pub)? ?(?:(?:{_TO})?{_SHORT_CODE}|{_TO}{_NUMBER})(?!\d)"
# Without a number only what nobody writes by chance.
_BARE_MENTION = r"no ?pub ?stop|stop ?sms|(?:repondez|repondre|envoyez|envoyer|tapez|reply|text) (?:par )?stop"
_ANYWHERE = re.compile(rf"(?<![a-z])(?<!non )(?:{_MENTION}|{_BARE_MENTION})(?![a-z])")
_AT_END = re.compile(rf"(?:{_ANYWHERE.pattern})$")


def has_mention(text: str) -> bool:
    """Tell whether the text ends with a STOP mention, in any case, accents, spacing and punctuation."""
    # A mention is at most 40 characters; looking further back would only cost time.
    end = fold(text[-80:])
    return "stop" in end and _AT_END.search(end) is not None


def contains_mention(text: str) -> bool:
    """Tell whether a STOP mention stands anywhere in the text."""
    return _ANYWHERE.search(fold(text)) is not None


def append_mention(text: str, mention: str) -> str:
    """Append the mention, which brings its own leading space, unless the text already ends with one.

    Any mention counts, not only this one: two addresses for STOP would mislead. An empty mention changes nothing. A
    blank at the end of the text is not doubled.
    """
    if not mention.strip() or has_mention(text) or _ends_with(text, mention):
        return text
    return text + (mention.lstrip() if not text or text[-1].isspace() else mention)


def _ends_with(text: str, mention: str) -> bool:
    """Tell whether the text ends with this very mention; a wording that `has_mention` does not know is compared
    folded."""
    exact = mention.strip()
    if text.endswith(exact) and not text[: -len(exact)][-1:].isalnum():
        return True
    wanted = fold(mention)
    return bool(wanted) and not has_mention(mention) and f" {fold(text[-len(mention) - 40 :])}".endswith(f" {wanted}")
