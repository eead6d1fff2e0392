"""Systems that are reached by HTTP: they take what is POSTed to them, and remember it."""

import http.server
import json
import sys
import threading
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Post:
    """One request: when it came (time.monotonic), its path, the id of its event, and its body, read as JSON."""

    when: float
    path: str
    event: str
    body: object


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        """Who asked is gone before the answer: it was ended, and that is told where it is known why."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class Target:
    """A system with an HTTP interface on a free port of the loopback address; a context manager.

    It takes `pause` seconds for each request: so there are some on their way whenever somebody looks. When it has taken
    `tired` requests it answers the next one with 503, as a server that is restarted does; that one is not taken.
    """

    def __init__(self, name, pause=0.0, tired=None):
        self.name = name
        self.pause = pause
        self.refused = 0
        self._tired = tired
        self._posts, self._busy, self._lock = [], 0, threading.Lock()
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    @property
    def address(self):
        return f"127.0.0.1:{self._server.server_address[1]}"

    @property
    def posts(self):
        """What came so far, in order of arrival."""
        with self._lock:
            return list(self._posts)

    @property
    def busy(self):
        """How many requests came that are not answered yet."""
        with self._lock:
            return self._busy

    def take(self, post):
        """One request, and the time that it takes; its status."""
        with self._lock:
            if self._tired == len(self._posts) and self.refused == 0:
                self.refused = 1
                return 503
            self._posts.append(post)
            self._busy += 1
        time.sleep(self.pause)
        with self._lock:
            self._busy -= 1
        return 204

    def _handler(self):
        target = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"  # connections are kept

            def do_POST(self):
                text = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                try:
                    body = json.loads(text)
                except ValueError:
                    self.answer(400)
                    return
                self.answer(target.take(Post(time.monotonic(), self.path, self.headers.get("ce-id", ""), body)))

            def answer(self, status):
                self.send_response(status)
                if status != 204:
                    self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                """What comes is in `posts`; standard error is for troubles."""

        return Handler
