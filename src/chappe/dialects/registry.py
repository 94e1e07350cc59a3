"""The dialects that we speak: the visible table, in the order in which they are asked whether a path is theirs."""

from __future__ import annotations

from typing import cast

from chappe.dialects import Dialect
from chappe.dialects.allmysms import dialect as allmysms
from chappe.dialects.smspartner import dialect as smspartner

DIALECTS: tuple[Dialect, ...] = (
    cast("Dialect", smspartner),
    cast("Dialect", allmysms),
)

BY_NAME = {dialect.NAME: dialect for dialect in DIALECTS}
