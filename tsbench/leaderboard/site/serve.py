"""Serves the pages from this machine to this machine; for reading, not for the open network."""

import http.server
from functools import partial
from pathlib import Path

from tsbench.contracts import InputError

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)


class Pages(http.server.SimpleHTTPRequestHandler):
    """Files of one folder, with the policy of the pages as a header, and no listings of folders."""

    server_version, sys_version = "tsbench", ""
    protocol_version = "HTTP/1.1"

    def end_headers(self) -> None:
        """Add the headers that every answer has."""
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def list_directory(self, path: object) -> None:
        """Refuse: a folder without an index page has nothing to show."""
        self.send_error(404)

    def log_message(self, format: str, *args: object) -> None:
        """Stay quiet: the terminal shows the address."""


def server_of(folder: Path, port: int, host: str = "127.0.0.1") -> http.server.ThreadingHTTPServer:
    """A server of a built site, not started yet.

    Args:
        folder: holds index.html.
        port: 0 takes a free one.
        host: address to listen at.

    Raises:
        InputError: where the folder holds no site, or the port is taken.
    """
    if not (folder / "index.html").is_file():
        raise InputError(f"{folder} holds no pages. Build them: tsbench board build --out {folder}")
    try:
        return http.server.ThreadingHTTPServer((host, port), partial(Pages, directory=str(folder)))
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(
            f"Cannot listen at {host}:{port}: {reason}. Choose another port with --port"
        ) from error
