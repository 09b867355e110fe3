"""HubSpot as a source: a list's memberships in the order of their record ids, and the contacts behind them."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from reservoir.config import HubspotConfig
from reservoir.domain.prospects import Member
from reservoir.domain.refusals import InvalidError
from reservoir.integrations.hubspot import portal as calls
from reservoir.integrations.hubspot import prospect_id
from reservoir.integrations.hubspot.contacts import MERGED, Owners, Properties
from reservoir.integrations.hubspot.portal import BATCH_MOST, Portal
from reservoir.integrations.source import Checked, CrmError, Cursor, Pace, Page, PassingError, RejectedRecord, Wanted

CONTACTS = "0-1"
_OTHERS = {"0-2": "companies", "0-3": "deals", "0-5": "tickets"}
_DIGITS = re.compile(r"\d+")


class HubspotSource:
    """One private app's connection.

    **Shape** of a cursor: ``after``, where the memberships go on; ``ready``, whether the list has been whole in all that was read; ``filtered_at``, of which
    filters that was.
    """

    def __init__(self, config: HubspotConfig, pace: Pace) -> None:
        self._portal = Portal(config, pace)
        self._owners = Owners(self._portal)
        self._address: str | None = None
        self._account_read = False

    def pages(self, wanted: Wanted, cursor: Cursor | None) -> Iterator[Page]:
        """A page for each of the memberships'. One that the list names and HubSpot does not show is unread.

        What it gives is complete only if the list was ready when it began and when it ended, with the same filters: while HubSpot works on a list, who is not
        in it may be yet to come.
        """
        list_id = str(wanted.source["id"])
        at = dict(cursor or {})
        definition = self._contacts_list(list_id)
        ready = definition.ready and at.get("ready", True) is True
        filtered_at = at.get("filtered_at", definition.filtered_at)
        properties = self._properties(wanted.source)
        after = str(at["after"]) if at.get("after") is not None else None
        while True:
            ids, following, total = self._portal.memberships(list_id, after)
            members, rejected = self._members(ids, properties, wanted.phone_region)
            total = definition.size if definition.size is not None else total
            advice = self._owners.refused and f"Owners have no names: {self._owners.refused}"
            if following is None:
                end = self._contacts_list(list_id)
                complete = ready and end.ready and end.filtered_at == filtered_at
                yield Page(members, rejected, total=total, complete=complete, advice=advice)
                return
            if following == after:
                raise CrmError("crm-no-progress", f"HubSpot's list {list_id!r} goes on where it began: its pages do not end. Tell HubSpot's support.")
            after = following
            yield Page(members, rejected, {"after": after, "ready": ready, "filtered_at": filtered_at}, total, advice=advice)

    def check(self) -> Checked:
        """Asks for one of each that syncs read, and HubSpot for what the token may write."""
        may, may_not, lacking = [], [], False
        probes: tuple[tuple[str, str, Callable[[], None], bool], ...] = (
            ("read lists", calls.READ_LISTS, self._portal.any_list, True),
            ("read contacts", calls.READ_CONTACTS, self._portal.any_contact, True),
            ("read the names of owners", calls.READ_OWNERS, self._portal.any_owner, False),
        )
        for what, scope, probe, needed in probes:
            if _may(probe):
                may.append(f"{what} ({scope})")
            else:
                may_not.append(f"{what} (the private app lacks the scope {scope})")
                lacking = lacking or needed
        token = self._optional(self._portal.token)
        scopes = token.get("scopes")
        if isinstance(scopes, list):
            told = may if calls.WRITE_CONTACTS in scopes else may_not
            told.append(f"write contacts and calls ({calls.WRITE_CONTACTS})")
        hub = token.get("hubId") or self._optional(self._portal.account).get("portalId")
        user = f"private app {token['appId']} of portal {hub}" if token.get("appId") and hub else f"portal {hub}" if hub else None
        return Checked(user, tuple(may), tuple(may_not), dict(self._portal.transport.left), lacking)

    def close(self) -> None:
        """Closes what is open."""
        self._portal.transport.close()

    def _contacts_list(self, list_id: str) -> calls.Definition:
        """**Raises**: CrmError where the list has no contacts."""
        definition = self._portal.definition(list_id)
        if definition.object_type not in {None, CONTACTS}:
            what = _OTHERS.get(definition.object_type or "", f"records of type {definition.object_type}")
            raise CrmError("crm-unsupported", f"HubSpot's list {list_id!r} is one of {what}, and only people can be dialed: choose a list of contacts.")
        return definition

    def _properties(self, source: Mapping[str, object]) -> Properties:
        columns = source.get("columns")
        properties = Properties(columns if isinstance(columns, dict) else {})
        if properties.chosen:
            try:
                there = self._portal.properties()
            except CrmError as error:
                if error.slug == "crm-credentials":
                    raise
                return properties  # it may not be asked which there are; what there is not stays empty
            if unknown := sorted(properties.chosen - there):
                detail = f"Contacts in this portal have no property {', '.join(map(repr, unknown))}: name others in the list's columns."
                raise CrmError("crm-unsupported", detail, candidates=tuple(sorted(there)))
        return properties

    def _members(self, listed: Sequence[str], properties: Properties, region: str) -> tuple[tuple[Member, ...], tuple[RejectedRecord, ...]]:
        """The members of one page of memberships, in its order."""
        ids, rejected = _canonical(listed)
        found: dict[str, Mapping[str, object]] = {}
        for start in range(0, len(ids), BATCH_MOST):
            found |= self._read(ids[start : start + BATCH_MOST], properties)
        self._owners.meet(frozenset(filter(None, (properties.owner(values) for values in found.values()))))
        address = self._records_address()
        members = tuple(
            properties.member(record, values, region, self._owners.name(properties.owner(values)), f"{address}{record}" if address else None)
            if (values := found.get(record)) is not None
            else Member("hubspot", record, unread=True)
            for record in ids
        )
        return members, rejected

    def _read(self, ids: Sequence[str], properties: Properties) -> dict[str, Mapping[str, object]]:
        """What HubSpot shows of these contacts, by the ids that were asked for. One that was merged comes under the id of who it became, or not at all."""
        asked = frozenset(ids)
        found: dict[str, Mapping[str, object]] = {}
        survivors: list[Mapping[str, object]] = []
        for contact in self._portal.contacts(ids, properties.names):
            values = contact.get("properties") if isinstance(contact, dict) else None
            if not isinstance(values, dict):
                continue
            record = str(contact.get("id", ""))
            if record in asked:
                found[record] = values
            else:
                survivors.append(values)
        for values in survivors:
            missing = asked - found.keys()
            merged = missing.intersection(_DIGITS.findall(str(values.get(MERGED) or "")))
            # Without word of who was merged, the only one that is missing must be whom another one is shown for.
            found |= dict.fromkeys(merged or (missing if len(missing) == len(survivors) == 1 else ()), values)
        return found

    def _records_address(self) -> str | None:
        """What the address of a contact's page begins with, if the account may be seen."""
        if not self._account_read:
            account = self._optional(self._portal.account)
            portal_id, host = account.get("portalId"), account.get("uiDomain") or "app.hubspot.com"
            self._address = f"https://{host}/contacts/{portal_id}/record/{CONTACTS}/" if portal_id else None
            self._account_read = True
        return self._address

    def _optional(self, ask: Callable[[], Mapping[str, object]]) -> Mapping[str, object]:
        """What is nice to know: nothing where HubSpot does not tell."""
        try:
            return ask()
        except (CrmError, PassingError):
            return {}


def _canonical(listed: Sequence[str]) -> tuple[list[str], tuple[RejectedRecord, ...]]:
    """The ids of one page, each once, and those that are none."""
    ids: dict[str, None] = {}
    rejected = []
    for text in listed:
        try:
            ids[prospect_id(text)] = None
        except InvalidError as error:
            rejected.append(RejectedRecord(text[:40], str(error)))
    return list(ids), tuple(rejected)


def _may(probe: Callable[[], None]) -> bool:
    try:
        probe()
    except CrmError as error:
        if error.slug == "crm-credentials":
            raise
        return error.slug != "crm-permission"
    return True
