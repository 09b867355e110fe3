"""A portal of HubSpot's as its private app sees it: each call that is made of it, and what it needs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from hubspot import HubSpot

from reservoir.config import HubspotConfig
from reservoir.integrations.hubspot.transport import RefusedError, Transport, parsed
from reservoir.integrations.source import CrmError, Pace, PassingError

ROOT = "https://api.hubapi.com"
MEMBERSHIPS_MOST = 250
BATCH_MOST = 100
OWNERS_MOST = 500

READ_LISTS, READ_CONTACTS, WRITE_CONTACTS = "crm.lists.read", "crm.objects.contacts.read", "crm.objects.contacts.write"
READ_OWNERS, READ_SCHEMAS = "crm.objects.owners.read", "crm.schemas.contacts.read"

Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Definition:
    """A list as HubSpot has it. ``ready``: its memberships are whole; ``filtered_at`` says which filters they are of."""

    object_type: str | None
    size: int | None
    ready: bool
    filtered_at: str | None


class Portal:
    """The calls, each tried once. Answers are read raw: HubSpot's models cost twenty times the time, and drop what they do not know.

    **Raises**, from every call: CrmError, PassingError, WaitError.
    """

    def __init__(self, config: HubspotConfig, pace: Pace) -> None:
        self._token = config.access_token.get_secret_value()
        self._root = config.endpoint or ROOT
        self.transport = Transport(self._root, pace)
        self._client = HubSpot(access_token=self._token, host=self._root, api_factory=self._api)

    def definition(self, list_id: str) -> Definition:
        """What a list is, and whether it is ready."""
        told = self._ask(self._lists.get_by_id, list_id, scope=READ_LISTS, absent=f"no list {list_id!r}")
        found = told.get("list", told)
        if not found or not isinstance(found, dict):
            raise PassingError("crm-bad-answer", "HubSpot answered for a list with something else.")
        status, size = found.get("processingStatus"), found.get("size")
        return Definition(
            object_type=_text(found.get("objectTypeId")),
            size=size if isinstance(size, int) and size >= 0 else None,
            ready=status is None or str(status).upper() in {"COMPLETE", "COMPLETED"},
            filtered_at=_text(found.get("filtersUpdatedAt")),
        )

    def memberships(self, list_id: str, after: str | None) -> tuple[list[str], str | None, int | None]:
        """The records of one page of a list, where the next one begins, and how many there are in all, if it says so."""
        more = {} if after is None else {"after": after}
        told = self._ask(self._memberships.get_page, list_id, limit=MEMBERSHIPS_MOST, scope=READ_LISTS, absent=f"no list {list_id!r}", **more)
        total = told.get("total")
        ids = [str(row.get("recordId", "")) if isinstance(row, dict) else str(row) for row in results(told)]
        return ids, next_page(told), total if isinstance(total, int) else None

    def contacts(self, ids: Sequence[str], properties: Sequence[str]) -> Iterator[Object]:
        """Up to 100 contacts, as many of them as HubSpot shows, in no order."""
        body = {"inputs": [{"id": record} for record in ids], "properties": list(properties), "propertiesWithHistory": []}
        yield from results(self._ask(self._contacts.read, body, scope=READ_CONTACTS))

    def owner(self, owner_id: str) -> Object | None:
        """One owner, or None where there is none of that id."""
        try:
            return self._ask(self._owners.get_by_id, owner_id, scope=READ_OWNERS, absent="no such owner")
        except CrmError as error:
            if error.status in {400, 404}:
                return None
            raise

    def owners(self) -> Iterator[Object]:
        """All owners."""
        after: str | None = None
        while True:
            more = {} if after is None else {"after": after}
            told = self._ask(self._owners.get_page, limit=OWNERS_MOST, scope=READ_OWNERS, absent="no owners", **more)
            yield from results(told)
            came_after, after = after, next_page(told)
            if after in {None, came_after}:
                return

    def properties(self) -> frozenset[str]:
        """The names of the properties that a contact has in this portal."""
        told = self._ask(self._properties.get_all, "contacts", scope=READ_SCHEMAS, absent="no properties")
        return frozenset(str(row["name"]) for row in results(told) if isinstance(row, dict) and "name" in row)

    def account(self) -> Object:
        """The account that the token is of."""
        return self._ask(self._plain, "GET", "/account-info/v3/details", scope="oauth", absent="no account")

    def token(self) -> Object:
        """What HubSpot knows of the token: app, portal, scopes."""
        return self._ask(self._plain, "POST", "/oauth/v2/private-apps/get/access-token-info", {"tokenKey": self._token}, scope="oauth", absent="no token")

    def any_list(self) -> None:
        """Asks for whatever list, to see whether it may be asked."""
        body = {"offset": 0, "count": 1, "additionalProperties": []}
        self._ask(self._lists.do_search, body, scope=READ_LISTS)

    def any_contact(self) -> None:
        """Asks for whatever contact, to see whether it may be asked."""
        self._ask(self._client.crm.contacts.basic_api.get_page, limit=1, scope=READ_CONTACTS)

    def any_owner(self) -> None:
        """Asks for whatever owner, to see whether it may be asked."""
        self._ask(self._owners.get_page, limit=1, scope=READ_OWNERS)

    # The API objects are kept: each has to be made, and resets the levels of loggers when it is.

    @cached_property
    def _lists(self) -> Any:
        return self._client.crm.lists.lists_api

    @cached_property
    def _memberships(self) -> Any:
        return self._client.crm.lists.memberships_api

    @cached_property
    def _contacts(self) -> Any:
        return self._client.crm.contacts.batch_api

    @cached_property
    def _owners(self) -> Any:
        return self._client.crm.owners.owners_api

    @cached_property
    def _properties(self) -> Any:
        return self._client.crm.properties.core_api

    def _api(self, package: Any, name: str, config: Mapping[str, Any]) -> Any:
        """One of the client's API objects, on our transport."""
        configuration = package.Configuration()
        configuration.host, configuration.access_token = config["host"], config["access_token"]
        client = package.ApiClient(configuration=configuration)
        client.rest_client.pool_manager = self.transport
        client.user_agent = "reservoir"
        return getattr(package, name)(api_client=client)

    def _plain(self, method: str, path: str, body: Object | None = None, **how: Any) -> Any:
        """A call that the client has no method for."""
        client = self._lists.api_client
        return client.call_api(path, method, {}, [], {"Accept": "application/json"}, body=body, auth_settings=["oauth2"], **how)

    def _ask(self, call: Callable[..., Any], *words: Any, scope: str, absent: str = "nothing of that kind", **more: Any) -> dict[str, Any]:
        try:
            return parsed(call(*words, _preload_content=False, **more))
        except RefusedError as error:
            raise _mendable(error, scope, absent) from None


def results(told: Object) -> list[Any]:
    """The records of an answer. One without any is no answer: an empty list says so."""
    found = told.get("results")
    if not isinstance(found, list):
        raise PassingError("crm-bad-answer", "HubSpot answered without records where there should be some, or an empty list.")
    return found


def next_page(told: Object) -> str | None:
    """Where the next page begins; None behind the last."""
    paging = told.get("paging")
    following = paging.get("next") if isinstance(paging, dict) else None
    after = following.get("after") if isinstance(following, dict) else None
    return str(after) if after is not None and after != "" else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _mendable(error: RefusedError, scope: str, absent: str) -> CrmError:
    """Who must do what."""
    if error.status == 401:
        detail = f"HubSpot refuses the access token ({error.category}): put a valid one of the private app into the config."
        return CrmError("crm-credentials", detail, status=401)
    if error.status == 403:
        lacking = ", ".join(error.scopes or (scope,))
        detail = f"HubSpot forbids it ({error.category}): an admin of HubSpot must give the private app the scopes that it lacks: {lacking}."
        return CrmError("crm-permission", detail, status=403)
    if error.status in {404, 410}:
        return CrmError("crm-not-found", f"HubSpot has {absent}: it was deleted, or the id is another one's.", status=error.status)
    detail = f"HubSpot does not take the request ({error.status}, {error.category}), and will not take it again: look at the list's source."
    return CrmError("crm-unsupported", detail, status=error.status)
