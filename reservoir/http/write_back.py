"""Write-back over HTTP: what of a call goes back into the CRM."""

from typing import Any

from reservoir.domain.write_back import Mapped, WriteBack
from reservoir.http import write_back_bodies
from reservoir.http.answers import time
from reservoir.http.finding import find_integration
from reservoir.http.visit import Answer, Route, Visit, etag, merge_patch, validated
from reservoir.integrations.base import integrations
from reservoir.storage.settings import told_write_back


async def get_write_back(visit: Visit, _: None) -> Answer:
    """The setting as it is."""
    integration = visit.integration()
    await visit.services.orgs.read("read_taken", visit.org)
    return _answer(visit.org.write_back[integration])


async def patch_write_back(visit: Visit, patch: object) -> Answer:
    """A change to the setting, for attempts and dispositions from now on. A part that is not named stays; the whole is checked."""
    integration = visit.integration()
    before = visit.org.write_back[integration]
    visit.require_match(etag(_told(before)))
    merged = merge_patch(told_write_back(before), patch)
    body: write_back_bodies.WriteBack = validated(write_back_bodies.WriteBack, merged, {"integration": integration})
    dispositions = {outcome: Mapped(dict(one.fields), one.remove, one.call_outcome) for outcome, one in body.dispositions.items()}
    setting = WriteBack(body.log_calls, dispositions)
    called, follow = f"{visit.key.name} ({visit.key.id})", integrations()[integration].has_source and not visit.org.profile.sandbox
    return _answer(await visit.services.settings.set_write_back(visit.org, integration, setting, visit.by, called, follow=follow))


def _told(setting: WriteBack) -> dict[str, Any]:
    return told_write_back(setting) | {"updated_at": time(setting.updated_at_ms), "updated_by": setting.updated_by}


def _answer(setting: WriteBack) -> Answer:
    document = _told(setting)
    return Answer(document, headers={"ETag": etag(document)})


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
)
