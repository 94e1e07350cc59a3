"""STOP mentions with somebody else's short code, as programs bring them from another provider (`STOP au 36180`).

A reply there never reaches this installation: whoever wants no more messages goes on getting them.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from chappe.core.model import AccountSettings

# French short codes of SMS have five digits and begin with 3 (or are typed with a blank in them).
_MENTION: Final = re.compile(
    r"\bstop(?:[ -]?(?:sms|pub))? {0,2}(?:(?:par sms )?(?:au|to|a|à|vers) (?:le )?)?(3\d(?: ?\d){3})(?! ?\d)",
    re.IGNORECASE,
)
_DIGITS: Final = re.compile(r"\d{3,8}")


def has_foreign(text: str, settings: AccountSettings) -> bool:
    """Whether a text tells subscribers to write STOP to a short code that is not the account's."""
    if "stop" not in text and "STOP" not in text and "Stop" not in text:
        return False
    own = _own_codes(settings.stop_mention, settings.sender)
    return bool(own) and any(_code(found[1]) not in own for found in _MENTION.finditer(text))


def with_own(text: str, settings: AccountSettings) -> str:
    """The text with the account's short code in place of others, where it wants that and has one."""
    if settings.stop_foreign != "rewrite" or not has_foreign(text, settings):
        return text
    own = _own_codes(settings.stop_mention, settings.sender)

    def corrected(found: re.Match[str]) -> str:
        if _code(found[1]) in own:
            return found[0]
        start = found.start(1) - found.start()
        return found[0][:start] + own[0]

    return _MENTION.sub(corrected, text)


def _code(written: str) -> str:
    return written.replace(" ", "")


@lru_cache(maxsize=1024)
def _own_codes(mention: str, sender: str) -> tuple[str, ...]:
    """Where replies to the account arrive: what its STOP mention says, then its own sender when it is a number."""
    return tuple(dict.fromkeys((*_DIGITS.findall(mention), *([sender] if sender.isdecimal() else []))))
