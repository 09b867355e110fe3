"""What the write-back setting is held against."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationInfo, WithJsonSchema, field_validator

from reservoir.domain.refusals import InvalidError
from reservoir.domain.write_back import FieldValue
from reservoir.http.bodies import Body
from reservoir.integrations.base import integrations

MAPPED_MOST, FIELDS_MOST, VALUE_MOST = 100, 50, 1_000

Outcome = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
FieldName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,99}(\.[A-Za-z][A-Za-z0-9_]{0,99})?$")]


def _value(value: Any) -> FieldValue:
    if not isinstance(value, str | bool | int | float) or (isinstance(value, str) and len(value) > VALUE_MOST):
        raise InvalidError(f"expected text of at most {VALUE_MOST:,} characters, a number, true or false")
    return value


Value = Annotated[Any, AfterValidator(_value), WithJsonSchema({"type": ["string", "boolean", "number"], "maxLength": VALUE_MOST})]


def _only_removes(value: object, info: ValidationInfo) -> object:
    name = info.context["integration"] if info.context else None
    if value and name is not None and not integrations()[name].has_source:
        raise InvalidError(f"nothing can be written into {name}: only remove may be set")
    return value


class Mapped(Body):
    """What an outcome does: the CRM's fields that it changes, whether it removes, and the CRM's own word for the call's outcome."""

    fields: Annotated[dict[FieldName, Value], Field(max_length=FIELDS_MOST), AfterValidator(_only_removes)] = Field(default_factory=dict)
    remove: bool = False
    call_outcome: Annotated[Annotated[str, Field(min_length=1, max_length=255)] | None, AfterValidator(_only_removes)] = None


class WriteBack(Body):
    """The setting as a whole: what a patch is merged into and held against."""

    log_calls: Annotated[bool, AfterValidator(_only_removes)]
    dispositions: Annotated[dict[Outcome, Mapped], Field(max_length=MAPPED_MOST)]

    @field_validator("dispositions", mode="before")
    @classmethod
    def _without_what_goes(cls, value: object) -> object:
        """A null takes an outcome, or a field, out of the map. **Source**: RFC 7396 section 2."""
        if not isinstance(value, dict):
            return value
        return {outcome: _without_nulls(mapped) for outcome, mapped in value.items() if mapped is not None}


def _without_nulls(mapped: object) -> object:
    if isinstance(mapped, dict) and isinstance(mapped.get("fields"), dict):
        return mapped | {"fields": {name: value for name, value in mapped["fields"].items() if value is not None}}
    return mapped
