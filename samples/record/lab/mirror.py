"""A web server to import images from, on an address of its own; its port is not captured unless asked for."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from lab import place


@contextmanager
def mirror(data: bytes) -> Iterator[str]:
    """Serves `data` at every path but those with `missing` in them; gives the URL to put a path behind."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if "missing" in self.path:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer((place.MIRROR, place.MIRROR_PORT), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://{place.MIRROR}:{place.MIRROR_PORT}"
    finally:
        server.shutdown()
        server.server_close()
