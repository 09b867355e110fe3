"""Settings over HTTP: integrations, multi-rep dialing, the org, API keys."""

from dataclasses import replace

from reservoir.domain.refusals import Refused
from reservoir.domain.reservation_timeout import ReservationTimeout
from reservoir.domain.settings import MultiRepDialing
from reservoir.http import answers, bodies
from reservoir.http.finding import find_integration, find_key
from reservoir.http.problems import ProblemError
from reservoir.http.query import NO_CURSOR
from reservoir.http.visit import Answer, Route, Visit, etag, page_answer
from reservoir.integrations.base import integrations
from reservoir.integrations.source import CrmError, PassingError, WaitError


async def list_integrations(visit: Visit, _: None) -> Answer:
    """Which integrations there are."""
    page, names = visit.query.page, list(integrations())
    await _require_current(visit)
    if page.after and page.after[0] not in names:
        raise ProblemError.invalid([{"parameter": "cursor", "detail": NO_CURSOR}])
    left = names[names.index(page.after[0]) + 1 :] if page.after else names
    shown = left[: page.limit]
    return page_answer([_integration(visit, name) for name in shown], (shown[-1],) if len(left) > len(shown) else None)


async def get_integration(visit: Visit, _: None) -> Answer:
    """One integration."""
    name = visit.integration()
    await _require_current(visit)
    return Answer(_integration(visit, name))


async def check_integration(visit: Visit, _: bodies.Empty) -> Answer:
    """What the connection may and may not do. That it cannot log in is an answer, too."""
    name = visit.integration()
    await _require_current(visit)
    try:
        return Answer(answers.checked(await visit.services.connections.check(visit.org.id, name)))
    except (CrmError, PassingError, WaitError) as error:
        return Answer(answers.not_connected(str(error)))


async def get_multi_rep_dialing(visit: Visit, _: None) -> Answer:
    """The setting as it is."""
    integration = visit.integration()
    await _require_current(visit)
    return _setting(visit.org.settings[integration])


async def patch_multi_rep_dialing(visit: Visit, patch: object) -> Answer:
    """A change to the setting, for attempts from now on. A part that is not named stays; the whole is checked."""
    integration = visit.integration()
    before = visit.org.settings[integration]
    told = {"enabled": before.enabled, "reservation_timeout": {"unit": before.timeout.unit, "duration": before.timeout.duration}}
    body: bodies.MultiRepDialing = visit.patched(bodies.MultiRepDialing, told, patch)
    visit.require_match(etag(answers.multi_rep_dialing(before)))
    timeout = ReservationTimeout(body.reservation_timeout.unit, body.reservation_timeout.duration)
    setting = MultiRepDialing(enabled=body.enabled, timeout=timeout)
    return _setting(await visit.services.settings.set_multi_rep_dialing(visit.org, integration, setting, visit.by, f"{visit.key.name} ({visit.key.id})"))


async def get_org(visit: Visit, _: None) -> Answer:
    """The org."""
    await _require_current(visit)
    return _org(visit)


async def patch_org(visit: Visit, patch: object) -> Answer:
    """A change to the org, for attempts from now on."""
    told = answers.org(visit.org.profile)
    body: bodies.OrgAsPatched = visit.patched(bodies.OrgAsPatched, told, patch, told)
    visit.require_match(etag(told))
    profile = replace(visit.org.profile, name=body.name, time_zone=body.time_zone, phone_region=body.phone_region)
    await visit.services.settings.set_profile(visit.org, profile, visit.by)
    document = answers.org(profile)
    return Answer(document, headers={"ETag": etag(document)})


async def list_keys(visit: Visit, _: None) -> Answer:
    """The org's API keys, oldest first."""
    page = visit.query.page
    await _require_current(visit)
    used = await visit.services.settings.last_used(visit.org)
    after = tuple(page.after) if page.after else (-1, "")
    left = [key for key in visit.org.keys.values() if (key.created_at_ms, key.id) > after]
    shown = left[: page.limit]
    last = (shown[-1].created_at_ms, shown[-1].id) if len(left) > len(shown) else None
    return page_answer([answers.api_key(key, used.get(key.id)) for key in shown], last)


async def create_key(visit: Visit, body: bodies.CreateKey) -> Answer:
    """A new API key, shown this once."""
    key, clear = await visit.services.settings.create_key(visit.org, body.name, tuple(dict.fromkeys(body.scopes)), visit.by)
    return Answer(answers.api_key(key, None) | {"key": clear}, 201)


async def revoke_key(visit: Visit, _: None) -> Answer | Refused:
    """The end of an API key: the next call of every process refuses it."""
    await find_key(visit)
    await visit.services.settings.revoke_key(visit.org, visit.part("key"), visit.by)
    return Answer(None, 204)


async def _require_current(visit: Visit) -> None:
    """Reads nothing but whether what is remembered is still so. **Raises**: StaleError."""
    await visit.services.orgs.read("read_taken", visit.org)


def _setting(setting: MultiRepDialing) -> Answer:
    document = answers.multi_rep_dialing(setting)
    return Answer(document, headers={"ETag": etag(document)})


def _org(visit: Visit) -> Answer:
    document = answers.org(visit.org.profile)
    return Answer(document, headers={"ETag": etag(document)})


def _integration(visit: Visit, name: str) -> dict[str, object]:
    return {
        "integration": name,
        "connected": visit.services.connections.has(visit.org.id, name),
        "multi_rep_dialing": answers.multi_rep_dialing(visit.org.settings[name]),
    }


_PATCH = ("application/merge-patch+json", "application/json")

ROUTES = (
    Route(
        "GET",
        "/v1/integrations",
        list_integrations,
        "read",
        "Read which integrations there are",
        answer="Integrations",
        query=("limit", "cursor"),
        cursor=(str,),
    ),
    Route(
        "GET",
        "/v1/integrations/{integration}",
        get_integration,
        "read",
        "Read one integration",
        find=find_integration,
        answer="Integration",
        problems=("integration-not-found",),
    ),
    Route(
        "POST",
        "/v1/integrations/{integration}/check",
        check_integration,
        "admin",
        "Look at what a connection may and may not do",
        body=bodies.Empty,
        find=find_integration,
        answer="Checked",
        problems=("integration-not-found",),
    ),
    Route(
        "GET",
        "/v1/integrations/{integration}/multi-rep-dialing",
        get_multi_rep_dialing,
        "read",
        "Read the multi-rep dialing setting",
        find=find_integration,
        answer="MultiRepDialingSetting",
        problems=("integration-not-found",),
    ),
    Route(
        "PATCH",
        "/v1/integrations/{integration}/multi-rep-dialing",
        patch_multi_rep_dialing,
        "admin",
        "Change the multi-rep dialing setting",
        patch=True,
        body=bodies.MultiRepDialing,
        find=find_integration,
        answer="MultiRepDialingSetting",
        problems=("integration-not-found", "precondition-failed"),
        media=_PATCH,
    ),
    Route("GET", "/v1/org", get_org, "read", "Read the org", answer="Org"),
    Route(
        "PATCH",
        "/v1/org",
        patch_org,
        "admin",
        "Change the org",
        patch=True,
        body=bodies.OrgAsPatched,
        answer="Org",
        problems=("precondition-failed",),
        media=_PATCH,
    ),
    Route("GET", "/v1/api-keys", list_keys, "admin", "Read the org's API keys", answer="ApiKeys", query=("limit", "cursor"), cursor=(int, str)),
    Route("POST", "/v1/api-keys", create_key, "admin", "Create an API key", body=bodies.CreateKey, answer="CreatedApiKey", status=201),
    Route("DELETE", "/v1/api-keys/{key}", revoke_key, "admin", "Revoke an API key", find=find_key, status=204, problems=("key-not-found",)),
)
