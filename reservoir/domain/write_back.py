"""Write-back: what of a call goes back into the CRM, by its disposition, so that people leave the report by themselves."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

FieldValue = str | bool | int | float


@dataclass(frozen=True, slots=True)
class Mapped:
    """What an outcome does beside being recorded. ``call_outcome`` is the CRM's own word for it; ``remove`` as a disposition's own (R10)."""

    fields: Mapping[str, FieldValue] = field(default_factory=lambda: MappingProxyType({}))
    remove: bool = False
    call_outcome: str | None = None


@dataclass(frozen=True, slots=True)
class WriteBack:
    """The setting of one integration of an org: nothing goes back until an admin says so."""

    log_calls: bool = False
    dispositions: Mapping[str, Mapped] = field(default_factory=lambda: MappingProxyType({}))
    updated_at_ms: int | None = None
    updated_by: str | None = None

    @property
    def writes(self) -> bool:
        """Whether anything goes into the CRM."""
        return self.log_calls or any(mapped.fields for mapped in self.dispositions.values())

    def removes(self, outcome: str) -> bool:
        """Whether the outcome takes the prospect out of the rep's dialing of the list."""
        mapped = self.dispositions.get(outcome)
        return mapped is not None and mapped.remove
