"""``reservoir serve``: the API and the console."""

import logging
import os
import socket
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import click

from reservoir.cli.failing import FailedError
from reservoir.cli.opening import EMBEDDED, Place
from reservoir.cli.options import example, with_config
from reservoir.cli.service_record import ServiceRecord
from reservoir.config import Config
from reservoir.last_errors import keep_errors
from reservoir.telemetry import log_to

LEAVING_S = 10.0
"""How long a start waits for a command that has an engine of its own on the directory, for its short life."""

log = logging.getLogger(__name__)


@click.command("serve", epilog=example("reservoir serve --port 8080 --processes 2"))
@click.option("--host", help="The host name or address to listen on; 127.0.0.1 unless the config says otherwise.")
@click.option("--port", type=click.IntRange(0, 65_535), help="The port; 0: any that is free. 8080 unless the config says otherwise.")
@click.option("--processes", type=click.IntRange(1), help="How many processes serve; 1 unless the config says otherwise.")
@click.option("--no-worker", is_flag=True, help="Run no sync worker beside the API: `reservoir worker` runs the syncs.")
@with_config
def serve(config: Config, host: str | None, port: int | None, processes: int | None, no_worker: bool) -> int:
    """Serve the API and the console, with a worker for syncs beside them, until SIGTERM or Ctrl-C.

    One line on stdout says where, as soon as all processes answer; the log goes to stderr. On SIGTERM nothing more is accepted, what is under way is
    finished, and the exit code is 0. A second signal does not wait.
    """
    from reservoir.cli.listening import listen, url_of

    log_to()
    config = with_server(config, host, port, processes)
    with listen(config.server.host, config.server.port) as listener:
        url = url_of(listener)

        def ready(place: Place) -> bool:
            click.echo(f"reservoir is ready at {url} (store: {place.words})")
            return True

        return serve_on(config, listener, ready, worker=not no_worker)


def with_server(config: Config, host: str | None, port: int | None, processes: int | None) -> Config:
    """The config with what the command line says of the server."""
    said = {name: value for name, value in (("host", host), ("port", port), ("processes", processes)) if value is not None}
    return config.model_copy(update={"server": config.server.model_copy(update=said)})


def serve_on(config: Config, listener: socket.socket, ready: Callable[[Place], bool], *, worker: bool = True) -> int:
    """Serves on the socket until it is told to stop, and returns the exit code. ``ready`` is told when all answer; if it returns False, that is the stop.

    **Raises**: EngineError; FailedError where a service runs on the directory already; SystemExit where it is told to stop before it serves.
    """
    from reservoir.cli.listening import url_of
    from reservoir.cli.signals import Signals
    from reservoir.cli.supervising import Supervisor
    from reservoir.storage.embedded import EmbeddedEngine

    keep_errors(config.data_dir)
    record = ServiceRecord(url_of(listener), os.getpid())
    with Signals() as signals, ExitStack() as at_the_end:
        engine: EmbeddedEngine | None = None
        place = Place(config.redis.url)
        if config.redis.url == EMBEDDED:
            refuse_second(config.data_dir)
            with signals.raising():
                engine = EmbeddedEngine.start(config.data_dir, wait_s=LEAVING_S)
            place = Place(engine.engine.url, engine.engine)
        supervisor = Supervisor(config, signals, listener, place, engine, worker=worker)
        at_the_end.callback(supervisor.stop_engine)

        def announce() -> bool:
            at_the_end.callback(record.remove, config.data_dir)
            _tell(record, config.data_dir)
            return ready(supervisor.place)

        return supervisor.run(announce)


def refuse_second(data_dir: Path) -> None:
    """Of two services on one directory, one would lose its engine when the other stops. **Raises**: FailedError."""
    other = ServiceRecord.running(data_dir)
    if other is not None:
        raise FailedError(
            f"The data directory {data_dir.absolute()} is in use by the service at {other.url}, pid {other.pid}: stop that one, or choose another data_dir."
        )


def _tell(record: ServiceRecord, data_dir: Path) -> None:
    try:
        record.write(data_dir)
    except OSError as error:  # without an engine of its own, a service may have no directory that it can write to
        log.warning("`reservoir status` will not see this service: %s: %s", data_dir, error.strerror)
