"""Changes to what every process remembers of an org: its profile, multi-rep dialing, API keys. Each moves the org's generation on."""

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

import orjson

from reservoir.domain.settings import ApiKey, MultiRepDialing, OrgProfile, Scope
from reservoir.domain.times import MINUTE_MS
from reservoir.domain.write_back import WriteBack
from reservoir.storage.clock import HostTime
from reservoir.storage.history import changed
from reservoir.storage.names import random_name
from reservoir.storage.orgs import Org, OrgStore, UnknownOrgError
from reservoir.storage.redis import Argument
from reservoir.storage.replies import flat_hash, integer


def api_key_sha256(key: str) -> str:
    """What is kept of an API key. A plain hash is enough: the key is 260 random bits, not a password."""
    return hashlib.sha256(key.encode()).hexdigest()


class SettingsStore:
    """Writes profiles, settings and API keys; `OrgStore` reads them."""

    def __init__(self, orgs: OrgStore) -> None:
        self._orgs = orgs
        self._used_minutes: dict[tuple[str, str], int] = {}
        self._written_minutes: dict[tuple[str, str], int] = {}

    async def set_multi_rep_dialing(self, org: Org, integration: str, setting: MultiRepDialing, by: str, called: str | None = None) -> MultiRepDialing:
        """Sets multi-rep dialing as it was merged from ``org``. The history is told ``by`` whom, in ids; people are told what they are ``called``.

        **Raises**: StaleError if the org was changed since it was read; nothing is done then.
        """
        before = org.settings[integration]
        came_on = setting.enabled and not before.enabled
        now_ms = self._orgs.store.clock.predict(HostTime.read())
        after = replace(setting, switched_on=before.switched_on + came_on, updated_at_ms=now_ms, updated_by=called or by)
        kept = _told_setting(after) | {"switched_on": after.switched_on, "updated_at": after.updated_at_ms, "updated_by": after.updated_by}
        detail = {"setting": "multi-rep-dialing", "before": _told_setting(before), "after": _told_setting(after), "by": by}
        await self._configure(org, "SET", f"settings:{integration}", "", orjson.dumps(kept), "settings.changed", integration, detail)
        return after

    async def set_write_back(self, org: Org, integration: str, setting: WriteBack, by: str, called: str | None = None, *, follow: bool) -> WriteBack:
        """Sets write-back as it was merged from ``org``, for attempts and dispositions from now on. **Raises**: StaleError as above.

        ``follow``: there is a CRM to write into, so that from here on the history is kept until that is done.
        """
        before = org.write_back[integration]
        after = replace(setting, updated_at_ms=self._orgs.store.clock.predict(HostTime.read()), updated_by=called or by)
        kept = told_write_back(after) | {"updated_at": after.updated_at_ms, "updated_by": after.updated_by}
        detail = {"setting": "write-back", "before": told_write_back(before), "after": told_write_back(after), "by": by}
        name = f"write-back:{integration}"
        await self._configure(org, "SET", name, "", orjson.dumps(kept), "settings.changed", integration, detail, *((name,) if follow else ()))
        return after

    async def set_profile(self, org: Org, profile: OrgProfile, by: str) -> None:
        """Sets the org's profile as it was merged from ``org``. **Raises**: StaleError as above."""
        detail = {"setting": "org", **changed(_told_profile(org.profile), _told_profile(profile)), "by": by}
        kept = _told_profile(profile) | {"id": profile.id, "sandbox": profile.sandbox, "created_at": str(profile.created_at_ms)}
        await self._configure(org, "SET", "org", "", orjson.dumps(kept), "settings.changed", "", detail)

    async def create_key(self, org: Org, name: str, scopes: tuple[Scope, ...], by: str) -> tuple[ApiKey, str]:
        """Creates an API key and returns it together with its only appearance in clear. **Raises**: StaleError as above."""
        id_ = random_name(12)
        clear = f"rsv_{org.id}_{id_}_{random_name(52)}"
        key = ApiKey(id_, name, scopes, self._orgs.store.clock.predict(HostTime.read()), api_key_sha256(clear))
        kept = {"name": key.name, "scopes": key.scopes, "created_at": key.created_at_ms, "sha256": key.sha256}
        await self._configure(org, "HSET", "keys", id_, orjson.dumps(kept), "key.created", "", {"key": id_, "scopes": scopes, "by": by})
        return key, clear

    async def revoke_key(self, org: Org, key_id: str, by: str) -> None:
        """Revokes an API key: the next call of every process refuses it. **Raises**: StaleError as above."""
        await self._configure(org, "HDEL", "keys", key_id, "", "key.revoked", "", {"key": key_id, "by": by})

    def key_used(self, org: Org, key_id: str) -> None:
        """Notes that a key was used now; `write_used` tells the store, at most once a minute for each key."""
        clock = self._orgs.store.clock
        if clock.trusted:
            self._used_minutes[org.id, key_id] = clock.predict(HostTime.read()) // MINUTE_MS

    async def write_used(self) -> None:
        """Tells the store when keys were last used. **Raises**: StoreUnavailableError; then they are told the next time."""
        if not self._orgs.store.clock.trusted:
            return
        for (org_id, key_id), minute in list(self._used_minutes.items()):
            if self._written_minutes.get((org_id, key_id)) != minute:
                await self._write_used(org_id, key_id, minute * MINUTE_MS)
                self._written_minutes[org_id, key_id] = minute
            if self._used_minutes.get((org_id, key_id)) == minute:
                del self._used_minutes[org_id, key_id]

    async def _write_used(self, org_id: str, key_id: str, at_ms: int) -> None:
        async def note(org: Org) -> None:
            if key_id in org.keys:
                await self._orgs.write("note_used", org, key_id, at_ms)

        with suppress(UnknownOrgError):
            await self._orgs.ask(org_id, note)

    async def last_used(self, org: Org) -> Mapping[str, int]:
        """When each key was last used, in ms, right to the minute."""
        await self.write_used()
        told = await self._orgs.store.command("HGETALL", f"{org.prefix}keys-used")
        return {key_id: integer(at) for key_id, at in flat_hash(told).items()}

    async def _configure(
        self, org: Org, command: str, key: str, field: str, value: Argument, kind: str, integration: str, detail: object, *reader: str
    ) -> None:
        await self._orgs.write("configure", org, command, key, field, value, kind, integration, orjson.dumps(detail), *reader)
        self._orgs.forget(org)


def told_write_back(setting: WriteBack) -> dict[str, object]:
    """The setting as the contract has it, without who set it."""
    dispositions = {
        outcome: {"fields": dict(mapped.fields), "remove": mapped.remove, "call_outcome": mapped.call_outcome}
        for outcome, mapped in setting.dispositions.items()
    }
    return {"log_calls": setting.log_calls, "dispositions": dispositions}


def _told_setting(setting: MultiRepDialing) -> dict[str, object]:
    return {"enabled": setting.enabled, "reservation_timeout": {"unit": setting.timeout.unit, "duration": setting.timeout.duration}}


def _told_profile(profile: OrgProfile) -> dict[str, object]:
    return {"name": profile.name, "time_zone": profile.time_zone, "phone_region": profile.phone_region}
