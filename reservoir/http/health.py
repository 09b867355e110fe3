"""Whether the process lives, and whether it can keep what it promises. No key is needed for these, and none shows an org's data."""

from aiohttp import web

from reservoir.http.problems import ProblemError
from reservoir.http.serving import SERVICES
from reservoir.http.visit import Answer
from reservoir.storage.redis import StoreUnavailableError


async def healthz(_: web.Request) -> web.StreamResponse:
    """The process lives."""
    return Answer({"status": "ok"}).response()


async def readyz(request: web.Request) -> web.StreamResponse:
    """The store answers, and can keep what the service promises."""
    services = request.app[SERVICES]
    try:
        findings = await services.findings()
        await services.store.read_clock()
    except StoreUnavailableError as error:
        raise _not_ready([f"the store does not answer: {error}"]) from None
    unusable = [str(finding) for finding in findings if finding.standing == "unusable"]
    unsafe = [str(finding) for finding in findings if finding.standing == "unsafe"]
    if not services.store.clock.trusted:
        jump_s = (services.store.clock.jump_ms or 0) / 1_000
        unusable.append(f"the store's clock is {jump_s:+.1f} s from where it should be (`reservoir doctor --accept-clock` accepts it as it is)")
    if unusable or (unsafe and not services.config.redis.allow_unsafe):
        raise _not_ready(unusable + unsafe)
    return Answer({"status": "ready", "unsafe": unsafe}).response()


def _not_ready(reasons: list[str]) -> ProblemError:
    return ProblemError("not-ready", f"{'; '.join(reasons)}.", headers={"Retry-After": "1"}, reasons=reasons)
