"""Calls logged in Salesforce: completed tasks of the person who was called, each once."""

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from functools import cached_property, partial
from typing import Protocol
from zoneinfo import ZoneInfo

from reservoir.integrations.salesforce.records import Fields, Records, Told, alone, literal, together
from reservoir.integrations.salesforce.refusals import RefusedError, RowLockedError
from reservoir.integrations.source import CrmError, PassingError
from reservoir.integrations.writer import Change

WORDS = "the call"
DISPOSITION_MOST = 255

_DISPENSABLE = {"TaskSubtype": "", "OwnerId": "INACTIVE_OWNER_OR_USER"}
"""What a task may do without, and the refusal of it that does not name it. The subtype can be set when a task is made, and never after."""


class _Write(Protocol):
    def __call__(self, *, fields: Fields, words: str) -> str: ...


class CallLog:
    """One org's tasks. ``field``: the external id of Task that has the claim's id, if there is such a field."""

    def __init__(self, records: Records, field: str) -> None:
        self._records = records
        self._field = field
        self._marks = True
        self._owners: Mapping[str, str] = {}

    def write(self, calls: Sequence[Change]) -> Iterator[tuple[Change, Told]]:
        """Logs calls, and says more of those that were logged before."""
        yield from self._update([call for call in calls if call.logged])
        fresh = [call for call in calls if not call.logged]
        if fresh:
            self._owners = self._owners_of({call.rep for call in fresh if "@" in call.rep})
            unmarked = yield from self._upsert(fresh)
            yield from self._look_and_create(unmarked)

    def _update(self, calls: Iterable[Change]) -> Iterator[tuple[Change, Told]]:
        """Only what was said since: a task is the rep's, who may have written into it."""
        said = []
        for call in calls:
            if _said(call):
                said.append(call)
            else:
                yield call, str(call.logged)
        rows = [("Task", str(call.logged), _said(call)) for call in said]
        for call, row, told in zip(said, rows, together(partial(self._records.update_all, rows, WORDS), len(rows)), strict=True):
            yield call, told if told is not None else alone(partial(self._records.update, *row, WORDS))

    def _upsert(self, calls: Sequence[Change]) -> Generator[tuple[Change, Told], None, list[Change]]:
        """By the external id, which finds the call however often it is told. Returns the calls that are left because there is no such field."""
        left: list[Change] = []
        rows = [{**self._task(call), self._field: call.claim} for call in calls]
        for call, told in zip(calls, together(partial(self._records.upsert_all, "Task", self._field, rows, WORDS), len(rows)), strict=True):
            otherwise = told is None or (isinstance(told, RefusedError) and told.of_the_request)
            found = told if not otherwise else self._upsert_one(call) if self._marks else None
            if found is None:
                left.append(call)
            else:
                yield call, found
        return left

    def _upsert_one(self, call: Change) -> Told | None:
        """None: Task has no such external id."""
        told = self._sparing(self._task(call), partial(self._records.upsert, "Task", self._field, call.claim))
        if not isinstance(told, RefusedError):
            return told
        if told.status in (404, 405) or (told.code.startswith("INVALID_FIELD") and told.names(self._field)):
            self._marks = False
            return None
        # Another request has made it in this moment; the next upsert finds it.
        return RowLockedError("crm-unavailable", str(told), status=told.status) if told.code == "DUPLICATE_VALUE" else told

    def _look_and_create(self, calls: Sequence[Change]) -> Iterator[tuple[Change, Told]]:
        """Looks for those that may have been logged before, by the claim's id in a field that every Task has, and makes the rest."""
        repeated = {call.claim: call for call in calls if call.repeated}
        known: Mapping[str, str] = {}
        if repeated:
            try:
                known = self._logged([*repeated.values()])
            except CrmError as error:
                yield from ((call, error) for call in repeated.values())
                known = dict.fromkeys(repeated, "")
        for call, more in self._update(replace(repeated[claim], logged=task) for claim, task in known.items() if task):
            yield repeated[call.claim], more
        new = [call for call in calls if call.claim not in known]
        rows = [self._task(call) for call in new]
        for call, row, told in zip(new, rows, together(partial(self._records.create_all, "Task", rows, WORDS), len(rows)), strict=True):
            otherwise = isinstance(told, RefusedError) and told.of_the_request
            yield call, self._sparing(row, partial(self._records.create, "Task")) if told is None or otherwise else told

    def _sparing(self, fields: Fields, write: _Write) -> Told:
        """The outcome, without what Salesforce does not take, if the task may do without."""
        while True:
            told = alone(partial(write, fields=fields, words=WORDS))
            if not isinstance(told, RefusedError):
                return told
            spared = [name for name, code in _DISPENSABLE.items() if name in fields and (told.names(name) or told.code == code != "")]
            if not spared:
                return told
            fields = {name: value for name, value in fields.items() if name not in spared}

    def _logged(self, calls: Sequence[Change]) -> Mapping[str, str]:
        """The tasks' ids by claim."""
        people, claims = (", ".join(sorted(literal(text) for text in texts)) for texts in ({call.prospect for call in calls}, {call.claim for call in calls}))
        soql = f"SELECT Id, CallObject FROM Task WHERE WhoId IN ({people}) AND CallObject IN ({claims})"  # noqa: S608
        found = self._records.query(soql, "the calls that were logged before")
        return {str(task.get("CallObject")): str(task["Id"]) for task in found if task.get("Id")}

    def _task(self, call: Change) -> Fields:
        at = datetime.fromtimestamp(call.at_ms / 1_000, self._zone)
        task = {
            "WhoId": call.prospect, "Subject": "Call", "TaskSubtype": "Call", "Status": "Completed", "ActivityDate": at.date().isoformat(),
            "CallType": "Outbound", "CallObject": call.claim, **_said(call),
        }  # fmt: skip
        owner = self._owners.get(call.rep.lower())
        return {**task, "OwnerId": owner} if owner else task

    def _owners_of(self, reps: Iterable[str]) -> Mapping[str, str]:
        """The active users whose e-mails are these reps, by e-mail. Who is not among them, the connection's own user stands for."""
        emails = ", ".join(sorted(literal(rep) for rep in reps))
        if not emails:
            return {}
        try:
            found = self._records.query(f"SELECT Id, Email FROM User WHERE IsActive = true AND Email IN ({emails}) ORDER BY Id DESC", "the reps' users")  # noqa: S608
        except CrmError as error:
            if error.slug == "crm-credentials":
                raise
            return {}
        return {str(user.get("Email")).lower(): str(user["Id"]) for user in found if user.get("Id")}

    @cached_property
    def _zone(self) -> tzinfo:
        """The org's, which says on which day a call was. Where it cannot be known, that is no reason to log none: UTC."""
        try:
            found = self._records.query("SELECT TimeZoneSidKey FROM Organization", "the org's time zone")
            return ZoneInfo(str(found[0]["TimeZoneSidKey"]))
        except (CrmError, PassingError, LookupError, ValueError) as error:
            if isinstance(error, CrmError) and error.slug == "crm-credentials":
                raise
            return UTC


def _said(call: Change) -> Fields:
    """The org's own word for the outcome, or ours."""
    word = call.call_outcome or call.outcome
    return {"CallDisposition": word[:DISPOSITION_MOST]} if word else {}
