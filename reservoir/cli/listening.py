"""The listening socket: bound before anything else is started, inherited by every process that serves."""

import errno
import ipaddress
import socket
import time

from reservoir.cli.failing import FailedError

BACKLOG = 1_024
LETTING_GO_S = 1.0
"""How long a port may stay taken by the processes of a service that was killed this moment."""
POLL_S = 0.02


class PortTakenError(FailedError):
    """Somebody else listens there."""


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0: on one that is free. Who connects waits until a process accepts.

    **Raises**: PortTakenError; FailedError, one sentence.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except (OSError, UnicodeError) as error:
        raise FailedError(f"The host {host!r} is none to listen on: {getattr(error, 'strerror', None) or error}.") from None
    until_s = time.monotonic() + LETTING_GO_S
    while True:
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(BACKLOG)
        except OSError as error:
            listener.close()
            if error.errno != errno.EADDRINUSE:
                raise FailedError(f"Nobody can listen on port {port} of {host}: {error.strerror}.") from None
            if time.monotonic() >= until_s:
                raise PortTakenError(f"The port {port} on {host} is in use: stop what listens there, or choose another with --port.") from None
            time.sleep(POLL_S)
        else:
            return listener


def url_of(listener: socket.socket) -> str:
    """An address under which this machine reaches the socket."""
    host, port = listener.getsockname()[:2]
    address = ipaddress.ip_address(host.partition("%")[0])
    if address.is_unspecified:
        host = "127.0.0.1" if address.version == 4 else "::1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
