"""Write-back over HTTP: what of a call goes back into the CRM."""

from typing import Any

from reservoir.domain.lists import Backlog
from reservoir.domain.times import rfc3339
from reservoir.domain.write_back import Mapped, WriteBack
from reservoir.http import write_back_bodies
from reservoir.http.answers import backlog, run_error, time
from reservoir.http.bodies import Empty
from reservoir.http.finding import find_integration
from reservoir.http.visit import Answer, Route, Visit, etag, page_answer
from reservoir.integrations.base import integrations
from reservoir.storage.settings import told_write_back
from reservoir.storage.write_back import Job


async def get_write_back(visit: Visit, _: None) -> Answer:
    """The setting as it is, and what is still to be written."""
    integration = visit.integration()
    await visit.services.write_back.catch_up(visit.org)
    left = await visit.services.write_back.backlog(visit.org, integration)
    return _answer(visit, integration, visit.org.write_back[integration], left)


async def patch_write_back(visit: Visit, patch: object) -> Answer:
    """A change to the setting, for attempts and dispositions from now on. A part that is not named stays; the whole is checked."""
    integration = visit.integration()
    before = visit.org.write_back[integration]
    body: write_back_bodies.WriteBack = visit.patched(write_back_bodies.WriteBack, told_write_back(before), patch, {"integration": integration})
    visit.require_match(etag(_told(before)))
    dispositions = {outcome: Mapped(dict(one.fields), one.remove, one.call_outcome) for outcome, one in body.dispositions.items()}
    called, setting = f"{visit.key.name} ({visit.key.id})", WriteBack(body.log_calls, dispositions)
    after = await visit.services.settings.set_write_back(visit.org, integration, setting, visit.by, called, follow=_writes(visit, integration))
    left = await visit.services.orgs.ask(visit.org.id, lambda org: visit.services.write_back.backlog(org, integration))
    return _answer(visit, integration, after, left)


async def list_failures(visit: Visit, _: None) -> Answer:
    """What the CRM refused, and why."""
    page = visit.query.page
    after = (int(page.after[0]), str(page.after[1])) if page.after else None
    jobs, more = await visit.services.write_back.failures(visit.org, visit.integration(), page.limit, after)
    return page_answer([_failure(job) for job in jobs], (int(jobs[-1].told["failed_at"]), jobs[-1].id) if more else None)


async def retry(visit: Visit, _: Empty) -> Answer:
    """What the CRM refused is tried again, and what waits because the CRM could not be reached is tried at once."""
    return Answer({"retrying": await visit.services.write_back.retry(visit.org, visit.integration())}, 202)


def _writes(visit: Visit, integration: str) -> bool:
    """Whether there is a CRM to write into. Nothing of a sandbox org goes anywhere: its CRM is somebody's real one."""
    return integrations()[integration].has_source and not visit.org.profile.sandbox


def _told(setting: WriteBack) -> dict[str, Any]:
    return told_write_back(setting) | {"updated_at": time(setting.updated_at_ms), "updated_by": setting.updated_by}


def _answer(visit: Visit, integration: str, setting: WriteBack, left: Backlog) -> Answer:
    document = _told(setting)
    return Answer(document | {"write_back": backlog(left) if _writes(visit, integration) else None}, headers={"ETag": etag(document)})


def _failure(job: Job) -> dict[str, object]:
    told = job.told
    return {
        "id": job.id,
        "claim": told["claim"],
        "prospect": told["prospect"],
        "what": told["what"],
        "at": rfc3339(int(told["failed_at"])),
        "error": run_error(told["error"]),
    }


ROUTES = (
    Route(
        "GET",
        "/v1/integrations/{integration}/write-back",
        get_write_back,
        "read",
        "Read what goes back into the CRM",
        find=find_integration,
        answer="WriteBackSetting",
        problems=("integration-not-found",),
    ),
    Route(
        "PATCH",
        "/v1/integrations/{integration}/write-back",
        patch_write_back,
        "admin",
        "Change what goes back into the CRM",
        patch=True,
        body=write_back_bodies.WriteBack,
        find=find_integration,
        answer="WriteBackSetting",
        problems=("integration-not-found", "precondition-failed"),
        media=("application/merge-patch+json", "application/json"),
    ),
    Route(
        "GET",
        "/v1/integrations/{integration}/write-back/failures",
        list_failures,
        "read",
        "See what the CRM refused to have written back",
        find=find_integration,
        answer="WriteBackFailures",
        query=("limit", "cursor"),
        cursor=(int, str),
        problems=("integration-not-found",),
    ),
    Route(
        "POST",
        "/v1/integrations/{integration}/write-back/retry",
        retry,
        "admin",
        "Try again what the CRM refused",
        body=Empty,
        find=find_integration,
        answer="Retrying",
        status=202,
        problems=("integration-not-found",),
    ),
)
