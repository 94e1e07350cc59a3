"""What the stories of the law are made of: operators' own profiles, numbers and how people write them, days, texts."""

from __future__ import annotations

from datetime import date, time
from typing import Any

from french_law import Rules

# Operators' own profiles: as their configuration says, and what that means.
OWN: dict[str, tuple[dict[str, Any], Rules]] = {
    "short": ({"open": "09:00", "close": "09:30"}, Rules(opens=time(9), closes=time(9, 30))),
    "strict": ({"base": "fr-partner-2020", "strict": True}, Rules(closes=time(20), strict=True)),
    "both": ({"zone": "both", "pause": "12:00-14:00"}, Rules(zone="both", pause=(time(12), time(14)))),
    "paris": ({"zone": "paris", "sundays": "open"}, Rules(zone="paris", sundays=True)),
    "mondays": ({"days": "mon", "close": "12:00"}, Rules(days=frozenset({0}), closes=time(12))),
    "all-day": (
        {"open": "00:00", "close": "24:00", "sundays": "open", "added_days": {"2026-03-30": "Deuil"}},
        Rules(opens=time(0), closes=None, sundays=True, added=frozenset({date(2026, 3, 30)})),
    ),
    "saturday-night": ({"nights": "mon-fri"}, Rules(closed_nights=frozenset(range(5)))),
    "warned": ({"outside": "warn"}, Rules(outside="warn")),
    "refusing": (
        {"base": "fr-10-20", "outside": "refuse"},
        Rules(opens=time(10), closes=time(20), outside="refuse"),
    ),
}

NUMBERS = {
    "+33612345678": ("0612345678", "+33(0)6 12 34 56 78", "33612345678"),
    "+33698765432": ("06 98 76 54 32",),
    "+33751234567": ("0033751234567",),
    "+590690123456": ("0690123456", "+33690123456"),
    "+590690654321": ("+590690654321",),
    "+596696123456": ("0696 12 34 56",),
    "+594694201234": ("+594694201234",),
    "+262692123456": ("0692123456",),
    "+262639001234": ("0639001234",),
    "+508551234": ("+508551234",),
    "+687751234": ("+687751234",),
    "+68987123456": ("+68987123456",),
    "+681821234": ("+681821234",),
    "+4915123456789": ("+49 1512 3456789",),
    "+12025550123": ("+12025550123",),
}

# Where stories begin, Paris time: the days on which something happens, and ordinary ones.
DAYS = (
    "2026-03-02", "2026-03-08",  # an ordinary Monday; clocks change in Saint-Pierre
    "2026-03-28", "2026-03-29",  # clocks change in Paris
    "2026-04-02", "2026-04-06",  # before Easter and on its Monday
    "2026-04-27", "2026-05-01", "2026-05-08", "2026-05-22", "2026-05-27", "2026-06-10", "2026-07-14",
    "2026-10-24", "2026-10-25", "2026-10-31", "2026-12-19", "2026-12-24", "2026-12-31", "2027-01-01",
)  # fmt: skip
HOURS = (0, 3, 7, 8, 9, 10, 11, 12, 14, 17, 19, 20, 21, 22, 23)

FILLERS = {
    "plain": " bonjour a tous",
    "wide": " 20€ [promo]",
    "unicode": " ça gêne",
    "emoji": " 😀 salut",
}
STOPS = ("STOP", "stop sms", "Arrêt !", "Désabonnement svp", "S.T.O.P", "Stop m'écrire")
STARTS = ("START", "reprise", "unstop")
