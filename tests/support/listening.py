"""A server that keeps the raw bytes of what it is asked: it judges a client by the wire, not by the client's word."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.support.wire import read_request


@dataclass
class Listening:
    """``heard`` are the requests as they came; ``answer`` makes the JSON body of the next answer."""

    base: str
    host: str
    heard: list[bytes] = field(default_factory=list)
    answer: Callable[[bytes], bytes] = lambda request: b"{}"

    def lines(self) -> list[str]:
        """Method and target of each request."""
        return [head.split(b"\r\n")[0].decode("latin-1").removesuffix(" HTTP/1.1") for head in self.heard]

    def taken(self) -> list[bytes]:
        heard, self.heard = self.heard, []
        return heard


def header(request: bytes, name: bytes) -> list[bytes]:
    lines = request.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]
    return [line.partition(b":")[2].strip() for line in lines if line.lower().startswith(name + b":")]


@contextlib.contextmanager
def listening() -> Iterator[Listening]:
    with socket.create_server(("127.0.0.1", 0)) as door:
        door.settimeout(0.05)
        host = f"127.0.0.1:{door.getsockname()[1]}"
        ear, done = Listening(f"http://{host}", host), threading.Event()

        def serve(connection: socket.socket) -> None:
            with connection, contextlib.suppress(OSError):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.settimeout(5)
                while not done.is_set():
                    request = read_request(connection)
                    ear.heard.append(request)
                    body = ear.answer(request)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

        def run() -> None:
            while not done.is_set():
                with contextlib.suppress(TimeoutError):
                    threading.Thread(target=serve, args=[door.accept()[0]], daemon=True).start()

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield ear
        finally:
            done.set()
            thread.join()
