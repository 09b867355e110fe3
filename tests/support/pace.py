"""A budget that a test can look into."""

from dataclasses import dataclass, field

from reservoir.integrations.source import WaitError


@dataclass
class RecordedPace:
    """Lets everything through, up to ``most``, and remembers what it was told."""

    most: int = 1_000_000
    spent: list[tuple[str, int, int]] = field(default_factory=list)
    held: list[tuple[str, float]] = field(default_factory=list)
    told_left: list[tuple[str, int]] = field(default_factory=list)

    def spend(self, what: str, most: int, per_s: int) -> None:
        if len(self.spent) >= min(most, self.most):
            raise WaitError("crm-budget", "used up", after_s=7)
        self.spent.append((what, most, per_s))

    def free(self, what: str, most: int, per_s: int) -> int:
        return most - len([one for one in self.spent if one[0] == what and one[2] == per_s])

    def hold(self, what: str, for_s: float) -> None:
        self.held.append((what, for_s))

    def left(self, what: str, count: int, for_s: float) -> None:
        del for_s
        self.told_left.append((what, count))
        self.most = len(self.spent) + count
