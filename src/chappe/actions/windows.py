"""Which sending window holds for whom: each account's profile, of those that come with Chappe or the operator's own."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from chappe.core import window
from chappe.core.model import AccountSettings
from chappe.core.window_profiles import DEFAULT, PROFILES, Profile
from chappe.store import accounts
from chappe.store.database import Database
from chappe.store.flags import Flag


class Windows:
    """The profiles by name, and, for those who deliver, each account's; refresh() when the configuration changes."""

    def __init__(self, own: Mapping[str, Profile]) -> None:
        self._profiles: Mapping[str, Profile] = {**PROFILES, **own}
        self._accounts: dict[int, Profile] = {}

    @property
    def profiles(self) -> Mapping[str, Profile]:
        """Every profile that an account may have, by name."""
        return self._profiles

    def of(self, settings: AccountSettings) -> Profile:
        """The profile of an account. One of a name that is no more is the default: closed rather than open."""
        return self._profiles.get(settings.window, self._profiles[DEFAULT])

    async def refresh(self, database: Database) -> None:
        """Reads which accounts have another profile than the default."""
        self._accounts = {
            account_id: self._profiles.get(name, self._profiles[DEFAULT])
            for account_id, name in await accounts.windows(database)
        }

    def name_of(self, account_id: int) -> str:
        """The name of an account's profile."""
        return self._accounts.get(account_id, self._profiles[DEFAULT]).name

    def check(self, account_id: int, flags: int, recipient: str, sender: str, now: datetime) -> window.Verdict | None:
        """What the window says of a message that would leave now; None for transactional ones, which need none."""
        if flags & Flag.TRANSACTIONAL:
            return None
        profile = self._accounts.get(account_id, self._profiles[DEFAULT])
        return window.check(profile.for_sender(sender), recipient, now)
