"""What becomes of a part that was answered with an error, by the class of that error."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from chappe.carriers import Fate
from chappe.smpp.error_codes import ErrorClass

# All others are refusals for good. THROTTLE is none of the part's business: it stays with the link.
FATES: Mapping[ErrorClass, Fate] = MappingProxyType(
    {
        ErrorClass.TEMPORARY: Fate.RETRY,
        ErrorClass.REQUEST: Fate.RETRY,
        ErrorClass.LINK: Fate.UNSENT,
        ErrorClass.AUTH: Fate.UNSENT,
        ErrorClass.CONFIG: Fate.PARKED,
        ErrorClass.BUG: Fate.FAILED,
    }
)
