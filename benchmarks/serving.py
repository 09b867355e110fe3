"""The services that are compared, each as a process of its own: ``python -m benchmarks.serving KIND STORE_URL`` prints its port when it is ready."""

import asyncio
import sys

import orjson
import uvloop
from aiohttp import web
from redis.asyncio import ConnectionPool, Redis

from benchmarks.filling import KEY_FILE, fill
from reservoir.config import load
from reservoir.http.app import make_app
from reservoir.wiring import services


async def bare(request: web.Request) -> web.Response:
    """The floor: JSON in, JSON out, nothing done."""
    body = orjson.loads(await request.read())
    return web.Response(body=orjson.dumps({"rep": body["rep"], "session": body["session"]}), content_type="application/json")


def ordinary(url: str) -> web.Application:
    """What everyone writes: a pool of redis-py, one SET NX a request."""
    client = Redis(connection_pool=ConnectionPool.from_url(url))
    numbers = iter(range(1 << 60))

    async def claim(request: web.Request) -> web.Response:
        body = orjson.loads(await request.read())
        prospect = f"00Q{next(numbers)}"
        taken = await client.set(f"ordinary:{prospect}", body["rep"], nx=True, px=86_400_000)
        return web.Response(body=orjson.dumps({"prospect": prospect, "reserved": bool(taken)}), content_type="application/json")

    app = web.Application()
    app.router.add_post("/v1/lists/{list}/claims", claim)
    return app


async def listen(app: web.Application) -> None:
    """Serves until it is killed."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


async def main(kind: str, url: str, members: str) -> None:
    """Serves one kind."""
    if kind == "reservoir":
        async with services(load(None, {"RESERVOIR_REDIS__ALLOW_UNSAFE": "true"}), url) as opened:
            KEY_FILE.write_text(await fill(opened, int(members)))
            await listen(make_app(opened))
    elif kind == "ordinary":
        await listen(ordinary(url))
    else:
        app = web.Application()
        app.router.add_post("/v1/lists/{list}/claims", bare)
        await listen(app)


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:4]))
