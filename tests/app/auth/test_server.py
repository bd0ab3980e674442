"""The web process as `ops up` starts it: Streamlit's own server, on a socket."""

import gzip
import os
import re
import signal
import socket
import subprocess
import sys
import time

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from core.domains.users import service
from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.runs import heartbeats
from tests.cast import make_cast

pytestmark = pytest.mark.slow


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    port = free_port()
    log = tmp_path_factory.mktemp("web") / "log"
    with log.open("w") as out:
        process = subprocess.Popen(
            [os.path.join(os.path.dirname(sys.executable), "streamlit"), "run", "app/server.py", "--server.port", str(port),
             "--server.address", "127.0.0.1", "--server.headless", "true"],
            env={**os.environ, "OPS_WEB_PORT": str(port)}, stdout=out, stderr=subprocess.STDOUT,
        )  # fmt: skip
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                if httpx.get(f"{url}/_stcore/health").status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.1)  # there is nothing to wait on before the port is open
        else:
            raise AssertionError(log.read_text())
        yield url
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=15)


@pytest.fixture
def client(db, web):
    with database.transaction(STAFF) as session:
        make_cast(session)
        token = service.create_login_link(session, "dave@manageai.example")
    with httpx.Client(base_url=web, headers={"origin": web}, timeout=20) as made:
        assert made.post("/auth/link", data={"token": token}).status_code == 303
        yield made


def stream(web, cookie=None, origin=None):
    url = f"{web.replace('http', 'ws')}/_stcore/stream"
    headers = {"Cookie": cookie} if cookie else {}
    return connect(url, origin=origin, additional_headers=headers, subprotocols=["streamlit"], open_timeout=10)


def test_websockets_open_to_the_signed_in_from_our_own_pages_only(client, web):
    cookie = "; ".join(f"{k}={v}" for k, v in client.cookies.items())
    for given, origin in (
        (None, web),
        (cookie, "https://evil.example"),
        (cookie, "http://127.0.0.1:1"),
        (cookie, None),
        ("x=y", web),
    ):
        with pytest.raises(InvalidStatus) as refused:
            stream(web, given, origin)
        assert refused.value.response.status_code == 403
    with stream(web, cookie, web) as open_one:
        open_one.ping().wait(5)


def test_signing_out_ends_the_way_in(client, web):
    cookie = "; ".join(f"{k}={v}" for k, v in client.cookies.items())
    assert client.get("/").status_code == 200
    assert client.post("/auth/sign-out").status_code == 303
    assert client.get("/", headers={"cookie": cookie}).headers["location"] == "/auth/sign-in"
    with pytest.raises((InvalidStatus, ConnectionClosed)):
        stream(web, cookie, web)


def test_nothing_of_streamlits_own_is_open_to_strangers(client, web):
    for path in ("/_stcore/host-config", "/_stcore/metrics", "/_stcore/agent/openapi.json", "/media/x", "/component/x/y"):
        assert httpx.get(f"{web}{path}").status_code in (303, 401), path
    assert httpx.post(f"{web}/_stcore/agent/interact", headers={"origin": web}).status_code == 401
    assert client.post("/_stcore/agent/interact").status_code in (403, 404, 405, 501)


def test_the_front_end_is_sent_packed_and_kept_by_browsers(client, web):
    page = client.get("/").text
    wire = 0
    for path in sorted(set(re.findall(r'(?:src|href)="\./(static/[^"]+\.(?:js|css))"', page))):
        with client.stream("GET", f"/{path}", headers={"accept-encoding": "gzip, br"}) as answer:
            raw = b"".join(answer.iter_raw())
        assert answer.headers["content-encoding"] == "gzip"
        assert "immutable" in answer.headers["cache-control"]
        plain = client.get(f"/{path}", headers={"accept-encoding": "identity"}).content
        assert gzip.decompress(raw) == plain
        wire += len(raw)
    assert 100_000 < wire < 2_200_000
    assert client.get("/static/../server.py").status_code in (400, 404, 200)
    assert "streamlit run" not in client.get("/static/%2e%2e/%2e%2e/app/server.py").text


def test_the_page_may_run_only_our_own_scripts(client):
    policy = client.get("/").headers["content-security-policy"]
    scripts = re.search(r"script-src ([^;]*)", policy)[1]
    assert "'unsafe-inline'" not in scripts
    assert "'unsafe-eval'" not in scripts
    assert "*" not in policy
    assert "http" not in scripts


def test_the_process_says_that_it_is_alive(client):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with database.transaction(STAFF) as session:
            if any(b.process == "web" for b in heartbeats.beats(session)):
                return
        time.sleep(0.2)
    raise AssertionError("no heartbeat of the web process")
