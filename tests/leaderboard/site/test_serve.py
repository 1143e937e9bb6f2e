"""`board serve`: only the folder, with the pages' policy, at this machine's own address."""

import http.client
import threading

import pytest

from tsbench.contracts import InputError
from tsbench.leaderboard.site.serve import server_of


@pytest.fixture
def served(tmp_path):
    site = tmp_path / "site"
    (site / "tasks").mkdir(parents=True)
    (site / "index.html").write_text("<p>hello</p>")
    (tmp_path / "secret.txt").write_text("mine")
    server = server_of(site, 0)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def ask(server, path: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(*server.server_address)
    connection.request("GET", path)
    answer = connection.getresponse()
    found = answer.status, dict(answer.getheaders()), answer.read()
    connection.close()
    return found


def test_a_page_comes_with_the_policy(served):
    status, headers, body = ask(served, "/")
    assert (status, body) == (200, b"<p>hello</p>")
    assert "script-src 'self'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", ["/tasks/", "/../secret.txt", "/%2e%2e/secret.txt", "/nothing.html"])
def test_nothing_else_is_served(served, path):
    status, headers, body = ask(served, path)
    assert status == 404
    assert b"mine" not in body
    assert "default-src 'none'" in headers["Content-Security-Policy"]


def test_it_listens_on_this_machine_only(served):
    assert served.server_address[0] == "127.0.0.1"


def test_a_folder_without_pages_and_a_taken_port_are_one_clear_line(served, tmp_path):
    with pytest.raises(InputError, match="holds no pages. Build them: tsbench board build"):
        server_of(tmp_path, 0)
    with pytest.raises(InputError, match="Choose another port"):
        server_of(tmp_path / "site", served.server_address[1])
