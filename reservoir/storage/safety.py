"""Whether a store can keep what the service promises: that it neither forgets nor evicts what was acknowledged, and that it may be written to."""

from dataclasses import dataclass
from typing import Literal

from reservoir.storage.redis import Store, StoreFaultError, StoreUnavailableError

Standing = Literal["safe", "notice", "unsafe", "unusable"]

OLDEST = {"redis": (7, 0), "valkey": (7, 2)}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that the promises rest on: what is, what should be, and whether that will do.

    ``notice``: worth knowing, and breaks no promise. ``unusable``: not even ``allow_unsafe`` helps.
    """

    about: str
    found: str
    wanted: str
    standing: Standing

    def __str__(self) -> str:
        """What is and what should be, as one clause."""
        return f"{self.about} is {self.found}, it should be {self.wanted}"


@dataclass(frozen=True, slots=True)
class Durability:
    """What the operator asks of the store and says for it; see the config's ``[redis]``."""

    wait_replicas: int = 0
    confirmed: bool = False


async def inspect(store: Store, durability: Durability) -> list[Finding]:
    """Looks at everything that the promises rest on.

    **Raises**: StoreUnavailableError if the store does not answer.
    """
    told = await _info(store)
    findings = [_version(told), _role(told), _replicas(told, durability), _writes(told)]
    policy = await _setting(store, "maxmemory-policy") or told.get("maxmemory_policy")
    findings.append(_eviction(policy, durability))
    findings.append(_persistence(await _setting(store, "appendonly"), await _setting(store, "appendfsync"), durability))
    return findings


async def _info(store: Store) -> dict[str, str]:
    reply = await store.command("INFO")
    lines = (reply.decode() if isinstance(reply, bytes) else str(reply)).splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


async def _setting(store: Store, name: str) -> str | None:
    """A setting of the store, or None where it will not say."""
    try:
        reply = await store.command("CONFIG", "GET", name)
    except (StoreFaultError, StoreUnavailableError):
        return None
    return reply[1].decode() if isinstance(reply, list) and len(reply) == 2 else None


def _version(told: dict[str, str]) -> Finding:
    engine = "valkey" if "valkey_version" in told else "redis"
    version = told.get("valkey_version") or told.get("redis_version", "0")
    oldest = OLDEST[engine]
    enough = tuple(int(part) for part in version.split(".")[:2]) >= oldest
    wanted = f"Redis {'.'.join(map(str, OLDEST['redis']))} or Valkey {'.'.join(map(str, OLDEST['valkey']))}, or newer"
    return Finding("the engine", f"{engine.capitalize()} {version}", wanted, "safe" if enough else "unusable")


def _role(told: dict[str, str]) -> Finding:
    role = told.get("role", "unknown")
    return Finding("the store's role", role, "master", "safe" if role == "master" else "unusable")


def _replicas(told: dict[str, str], durability: Durability) -> Finding:
    connected = int(told.get("connected_slaves", "0"))
    enough = connected >= durability.wait_replicas
    return Finding("the number of connected replicas", str(connected), f"at least {durability.wait_replicas}", "safe" if enough else "unusable")


def _writes(told: dict[str, str]) -> Finding:
    status = told.get("aof_last_write_status", "ok")
    return Finding("the last write to the append-only file", status, "ok", "safe" if status == "ok" else "unusable")


def _eviction(policy: str | None, durability: Durability) -> Finding:
    known_safe = policy == "noeviction" or (policy is None and durability.confirmed)
    return Finding("maxmemory-policy", policy or "not told by the store", "noeviction", "safe" if known_safe else "unsafe")


def _persistence(appendonly: str | None, appendfsync: str | None, durability: Durability) -> Finding:
    if durability.wait_replicas > 0:
        return Finding("durability", f"by {durability.wait_replicas} replicas", "append-only with fsync always, or wait_replicas", "safe")
    wanted = "appendonly yes with appendfsync always (or set redis.wait_replicas)"
    if appendonly is None or appendfsync is None:
        wanted += ", or redis.durability_confirmed = true where the store will not say"
        return Finding("persistence", "not told by the store", wanted, "safe" if durability.confirmed else "unsafe")
    found = f"appendonly {appendonly} with appendfsync {appendfsync}"
    durable = appendonly == "yes" and appendfsync == "always"
    return Finding("persistence", found, wanted, "safe" if durable else "unsafe")
