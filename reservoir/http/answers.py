"""What the service answers: the shapes of http-api's nouns, made from the domain's, and their models for the OpenAPI document."""

from collections.abc import Mapping

import orjson

from reservoir.domain.advice import advice
from reservoir.domain.claims import Claim, Granted, Reservation
from reservoir.domain.history import Entry
from reservoir.domain.lists import Backlog, ListState, Rejection, Sync
from reservoir.domain.settings import ApiKey, MultiRepDialing, OrgProfile
from reservoir.domain.times import rfc3339
from reservoir.integrations.base import integrations
from reservoir.integrations.source import Checked
from reservoir.storage.lists import ListedMember
from reservoir.storage.prospects import FoundProspect
from reservoir.storage.syncs import unknown_prospect_json


def time(at_ms: int | None) -> str | None:
    """A time as it is told, or None."""
    return None if at_ms is None else rfc3339(at_ms)


PROBLEMS: Mapping[str, tuple[int, str]] = {
    "malformed-json": (400, "The body is not one JSON value"),
    "body-incomplete": (400, "The body broke off"),
    "unauthenticated": (401, "No API key that is known"),
    "forbidden": (403, "The API key does not reach this"),
    "not-found": (404, "There is no such thing"),
    "list-not-found": (404, "There is no such list"),
    "claim-not-found": (404, "There is no such claim"),
    "not-reserved": (404, "The prospect is not reserved"),
    "not-a-member": (404, "The prospect is not a member of the list"),
    "integration-not-found": (404, "There is no such integration"),
    "key-not-found": (404, "There is no such API key"),
    "removal-not-found": (404, "Nobody is removed so"),
    "no-sync": (404, "The list has had no sync"),
    "method-not-allowed": (405, "The method is not allowed here"),
    "prospect-reserved": (409, "Somebody has this prospect"),
    "do-not-call": (409, "The CRM flags this person as not to be called"),
    "claim-lapsed": (409, "The claim stands no more: do not dial"),
    "claim-unreserved": (409, "The claim reserves nobody"),
    "claim-not-attempted": (409, "No call was attempted"),
    "reservation-not-removable": (409, "A reservation stays until it expires"),
    "extension-limit": (409, "The claim can not be extended so far"),
    "list-exists": (409, "The list exists already"),
    "sync-running": (409, "A sync of the list is running"),
    "sync-lost": (409, "The sync was given up"),
    "precondition-failed": (412, "It was changed since you read it"),
    "body-too-large": (413, "The body is too large"),
    "unsupported-media-type": (415, "The body's media type is not one of those that are read here"),
    "invalid-request": (422, "The request is not valid"),
    "idempotency-key-reused": (422, "The idempotency key was used for another request"),
    "no-source": (422, "The list has no source to be synced from"),
    "no-rows": (422, "No row can be a member"),
    "invalid-csv": (422, "The file can not be read"),
    "too-many-requests": (429, "Too many requests"),
    "internal-error": (500, "A defect of the service"),
    "not-ready": (503, "The service is not ready"),
    "store-unavailable": (503, "The store can not be relied on"),
}
"""Slug to HTTP status and title: the one place in which a refusal becomes a status."""


SYNC_PROBLEMS: Mapping[str, tuple[int, str]] = {
    "body-incomplete": PROBLEMS["body-incomplete"],
    "lost": (502, "The sync was lost"),
    "source-changed": (502, "The list has another source by now"),
    "crm-credentials": (502, "The CRM does not let this connection in"),
    "crm-permission": (502, "The CRM does not let this connection do that"),
    "crm-not-found": (502, "The CRM does not have, or does not show, what the list is filled from"),
    "crm-unavailable": (502, "The CRM does not answer"),
    "crm-bad-answer": (502, "The CRM answers what makes no sense"),
    "crm-unsupported": (502, "This can not be made a list of people"),
    "crm-ambiguous": (502, "It can not be told which column is meant"),
    "crm-no-progress": (502, "The CRM's pages do not end"),
    "crm-budget": (502, "The CRM's budget is used up"),
    "crm-not-connected": (502, "The org is not connected to this CRM"),
}
"""Why a sync failed, or waits: slug to the status where the CRM told none, and title."""


def problem(slug: str, detail: str, **facts: object) -> dict[str, object]:
    """PROBLEM: a refusal or an error as its members."""
    status, title = PROBLEMS[slug]
    return {"type": f"/problems/{slug}", "title": title, "status": status, "detail": detail, **facts}


def claim(told: Claim) -> dict[str, object]:
    """CLAIM. The prospect's data is passed through as the list keeps it."""
    return {
        "id": told.id,
        "state": told.state,
        "reserved": told.state == "reserved",
        "rep": told.rep,
        "session": told.session,
        "mode": told.mode,
        "list": told.list,
        "claimed_at": rfc3339(told.claimed_at_ms),
        "attempted_at": time(told.attempted_at_ms),
        "expires_at": time(told.expires_at_ms),
        "prospect": orjson.Fragment(told.member or unknown_prospect_json(told.integration, told.prospect)),
    }


def claim_with_disposition(told: Claim) -> dict[str, object]:
    """CLAIM as it is looked up, with what the rep recorded."""
    disposition = told.disposition
    return claim(told) | {
        "disposition": disposition
        and {"outcome": disposition.outcome, "remove": disposition.remove, "note": disposition.note, "at": rfc3339(disposition.at_ms)}
    }


def granted(told: Granted, list_id: str) -> dict[str, object]:
    """The answer to a claim on a list."""
    return {
        "claims": [claim(one) for one in told.claims],
        "list": {
            "id": list_id,
            "multi_rep_dialing": told.multi_rep_dialing,
            "available": told.available,
            "next_available_at": time(told.next_available_at_ms),
        },
    }


def reservation(told: Reservation) -> dict[str, object]:
    """RESERVATION."""
    return {
        "prospect": {"integration": told.integration, "id": told.prospect},
        "state": told.state,
        "rep": told.rep,
        "session": told.session,
        "mode": told.mode,
        "list": told.list,
        "claim": told.claim,
        "claimed_at": time(told.claimed_at_ms),
        "attempted_at": time(told.attempted_at_ms),
        "expires_at": time(told.expires_at_ms),
    }


def optional_reservation(told: Reservation | None) -> dict[str, object] | None:
    """RESERVATION or null."""
    return None if told is None else reservation(told)


def found_prospect(told: FoundProspect) -> dict[str, object]:
    """A prospect with its lists and who has it."""
    return {
        "prospect": orjson.Fragment(told.data[0] if told.data else unknown_prospect_json(told.id.integration, told.id.id)),
        "lists": list(told.lists),
        "reservation": optional_reservation(told.reservation),
    }


def list_state(told: ListState) -> dict[str, object]:
    """LIST."""
    counts, definition = told.counts, told.definition
    return {
        "id": definition.id,
        "name": definition.name,
        "integration": definition.integration,
        "source": definition.source,
        "sync": definition.sync,
        "created_at": rfc3339(definition.created_at_ms),
        "multi_rep_dialing": told.multi_rep_dialing,
        "counts": {
            "members": counts.members,
            "available": counts.available,
            "held": counts.held,
            "reserved": counts.reserved,
            "undialable": counts.undialable,
        },
        "fetched": told.fetched,
        "truncated": told.truncated,
        "clogged": counts.clogged,
        "next_available_at": time(told.next_available_at_ms),
        "advice": advice(told, integrations()[definition.integration].unclog, definition.sync.get("fetch") != "first_page"),
        "write_back": None if told.write_back is None or not integrations()[definition.integration].has_source else backlog(told.write_back),
        "last_sync": None if told.last_sync is None else sync(told.last_sync),
    }


def backlog(told: Backlog) -> dict[str, object]:
    """What is still to be written back."""
    return {"pending": told.pending, "oldest_at": time(told.oldest_at_ms), "failed": told.failed}


def sync(told: Sync) -> dict[str, object]:
    """SYNC."""
    return {
        "id": told.id,
        "list": told.list,
        "state": told.state,
        "fetched": told.fetched,
        "added": told.added,
        "updated": told.updated,
        "left": told.left,
        "rejected_count": told.rejected_count,
        "rejected": [rejection(row) for row in told.rejected],
        "total": told.total,
        "complete": told.complete,
        "truncated": told.truncated,
        "started_at": rfc3339(told.started_at_ms),
        "finished_at": time(told.finished_at_ms),
        "error": None if told.error is None else run_error(told.error),
    } | ({} if told.resumes_at_ms is None else {"resumes_at": rfc3339(told.resumes_at_ms)})


def rejection(row: Rejection) -> dict[str, object]:
    """A row that is no member, by where it stands: the line of a file, the record of a CRM."""
    where: dict[str, object] = {"line": row.line} if row.record is None else {"record": row.record}
    return where | {"detail": row.detail} | ({"kept": True} if row.kept else {})


def run_error(told: Mapping[str, object]) -> dict[str, object]:
    """Why a run failed, or waits. The status is the CRM's, where it told one."""
    slug = str(told["type"])
    status, title = SYNC_PROBLEMS[slug]
    candidates = {"candidates": told["candidates"]} if "candidates" in told else {}
    return {"type": f"/problems/{slug}", "title": title, "status": told.get("status", status), "detail": told["detail"], **candidates}


def checked(told: Checked) -> dict[str, object]:
    """What a connection may and may not do."""
    return {"connected": True, "user": told.user, "may": list(told.may), "may_not": list(told.may_not), "budget": dict(told.budget)}


def not_connected(reason: str) -> dict[str, object]:
    """The same of one that cannot log in."""
    return {"connected": False, "user": None, "may": [], "may_not": [f"log in: {reason}"], "budget": {}}


def member(told: ListedMember) -> dict[str, object]:
    """A list's member with how it stands."""
    return {
        "prospect": orjson.Fragment(told.data),
        "status": told.status,
        "reason": told.reason,
        "reservation": optional_reservation(told.reservation),
    }


def multi_rep_dialing(told: MultiRepDialing) -> dict[str, object]:
    """The setting, with who set it."""
    return {
        "enabled": told.enabled,
        "reservation_timeout": {"unit": told.timeout.unit, "duration": told.timeout.duration},
        "updated_at": time(told.updated_at_ms),
        "updated_by": told.updated_by,
    }


def org(told: OrgProfile) -> dict[str, object]:
    """The org."""
    return {"id": told.id, "name": told.name, "time_zone": told.time_zone, "phone_region": told.phone_region, "sandbox": told.sandbox}


def api_key(told: ApiKey, last_used_ms: int | None) -> dict[str, object]:
    """An API key, without the key."""
    return {
        "id": told.id,
        "name": told.name,
        "scopes": list(told.scopes),
        "created_at": rfc3339(told.created_at_ms),
        "last_used_at": time(last_used_ms),
    }


HISTORY_FIELDS = ("id", "type", "at", "recorded_at", "integration", "prospect", "list", "rep", "session", "mode", "claim", "expires_at", "detail")


def history_entry(told: Entry) -> dict[str, object]:
    """An item of the history."""
    return {
        "id": told.id,
        "type": told.type,
        "at": rfc3339(told.at_ms),
        "recorded_at": rfc3339(told.recorded_at_ms),
        "integration": told.integration,
        "prospect": told.prospect,
        "list": told.list,
        "rep": told.rep,
        "session": told.session,
        "mode": told.mode,
        "claim": told.claim,
        "expires_at": time(told.expires_at_ms),
        "detail": told.detail,
    }
