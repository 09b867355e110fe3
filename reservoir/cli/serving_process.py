"""A process that serves: forked from the one that supervises it, on the socket that it inherits, until it is told to stop or its parent is gone."""

import asyncio
import ctypes
import logging
import os
import signal
import socket
import sys

from aiohttp import web

from reservoir.cli.listening import BACKLOG
from reservoir.config import Config
from reservoir.http.app import make_app
from reservoir.http.connections import Runner
from reservoir.wiring import Services, create_configured_orgs, services

LINGER_S = 0.5
"""How long connections that were accepted may still bring a request, after nothing more is accepted."""
GRACE_S = 10.0
"""How long the requests that are under way may take from then on."""
WRITTEN_S = 2.0
"""How long a client may take to read the rest of its answer."""
KEEPALIVE_S = 75.0
AGAIN_S = 1.0
POLL_S = 0.01

PR_SET_PDEATHSIG = 1
"""**Source**: prctl(2)."""

READY = b"r"

log = logging.getLogger(__name__)


def tie_to(parent_pid: int) -> None:
    """This process is killed when the parent is gone, however it went. On Linux; elsewhere its end is noticed on the channel to it.

    **Raises**: SystemExit, if it is gone already.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent_pid:
        sys.exit(1)


async def serve_requests(config: Config, url: str, listener: socket.socket, channel: socket.socket) -> None:
    """Makes everything ready, says so on the channel, and serves until SIGTERM or the channel's end; then finishes what is under way.

    **Raises**: StoreUnavailableError, UnsafeStoreError, before it is ready.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    async with services(config, url) as opened:
        await create_configured_orgs(opened)
        await opened.settling.everything()
        settling = asyncio.create_task(_settle(opened), name="settling")
        runner = Runner(_closing(make_app(opened), stop), access_log=None, handler_cancellation=False, keepalive_timeout=KEEPALIVE_S, shutdown_timeout=GRACE_S)
        try:
            await runner.setup()
            loop.add_signal_handler(signal.SIGTERM, stop.set)
            site = web.SockSite(runner, listener, backlog=BACKLOG)
            await site.start()
            channel.setblocking(False)
            channel.send(READY)
            loop.add_reader(channel, _parent_gone, loop, channel, stop)
            await stop.wait()
            opened.claims.waiting.stop()
            await site.stop()
            await asyncio.sleep(LINGER_S)
        finally:
            connections = [] if runner.server is None else [connection.transport for connection in runner.server.connections]
            await runner.cleanup()
            await _written([transport for transport in connections if transport is not None])
            loop.remove_reader(channel)
            settling.cancel()
            await asyncio.gather(settling, return_exceptions=True)


def _parent_gone(loop: asyncio.AbstractEventLoop, channel: socket.socket, stop: asyncio.Event) -> None:
    loop.remove_reader(channel)  # it would be called for ever: the end of a stream stays readable
    stop.set()


def _closing(app: web.Application, stop: asyncio.Event) -> web.Application:
    """The app, whose answers say from the stop on that their connection ends: a client that reuses it would lose a request to its closing."""

    async def close(_: web.Request, response: web.StreamResponse) -> None:
        if stop.is_set():
            response.headers["Connection"] = "close"
            response.force_close()

    app.on_response_prepare.append(close)
    return app


async def _settle(opened: Services) -> None:
    """Settles what falls due, and begins again should that break off."""
    while True:
        try:
            await opened.settling.run()
        except Exception:
            log.exception("settling broke off; it begins again in %g s", AGAIN_S)
        await asyncio.sleep(AGAIN_S)


async def _written(transports: list[asyncio.Transport]) -> None:
    """Returns when clients have got their last answers, or take too long to read them."""
    until_s = asyncio.get_running_loop().time() + WRITTEN_S
    while any(transport.get_write_buffer_size() for transport in transports):
        if asyncio.get_running_loop().time() >= until_s:
            return
        await asyncio.sleep(POLL_S)
