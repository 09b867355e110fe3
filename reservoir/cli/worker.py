"""``reservoir worker``: the syncs, without the API. As many as you like, on as many machines."""

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Callable

import click

from reservoir.cli.opening import reached, run
from reservoir.cli.options import example, with_config
from reservoir.config import Config
from reservoir.last_errors import keep_errors
from reservoir.telemetry import log_to
from reservoir.wiring import create_configured_orgs, services

AGAIN_S = 1.0
NICE = 5
"""By so much a worker stands back where others want the processor: whoever waits for a claim is not to wait for a sync."""

STOPS = (signal.SIGTERM, signal.SIGINT)

log = logging.getLogger(__name__)


@click.command("worker", epilog=example("reservoir worker --config /etc/reservoir.toml"))
@with_config
def worker(config: Config) -> None:
    """Run the syncs that are asked for or due, until SIGTERM or Ctrl-C.

    Any number of workers share the work, one of them to a list at a time. One line on stdout says that it works; the log goes to stderr. On SIGTERM each sync
    that is under way ends at a page's edge, and another worker goes on with it; the exit code is 0.
    """
    log_to()
    keep_errors(config.data_dir)
    with reached(config) as place:
        run(work(config, place.url, told=lambda: click.echo(f"reservoir works on syncs (store: {place.words})")))
        for number in STOPS:  # told twice, it ends all the same with 0
            signal.signal(number, signal.SIG_IGN)


async def work(config: Config, url: str, *, told: Callable[[], object], channel: socket.socket | None = None) -> None:
    """Works until a signal, or until who holds the other end of the channel is gone.

    **Raises**: StoreUnavailableError, UnsafeStoreError, before it works.
    """
    os.nice(NICE)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in STOPS if channel is None else (signal.SIGTERM,):
        loop.add_signal_handler(number, stop.set)
    if channel is not None:
        channel.setblocking(False)
        loop.add_reader(channel, _gone, loop, channel, stop)
    async with services(config, url) as opened:
        await create_configured_orgs(opened)
        told()
        while not stop.is_set():
            try:
                await opened.worker.run(stop)
            except Exception:
                log.exception("the worker broke off; it begins again in %g s", AGAIN_S)
                await asyncio.sleep(AGAIN_S)
        await opened.worker.idle()


def _gone(loop: asyncio.AbstractEventLoop, channel: socket.socket, stop: asyncio.Event) -> None:
    loop.remove_reader(channel)  # it would be called for ever: the end of a stream stays readable
    stop.set()
