"""What only a real socket shows: bodies that lie, dawdle or never end, and a healthy client in the middle of it."""

import json
import socket
import time
from contextlib import ExitStack

import httpx
import pytest
import structlog

from core.kit import log
from tests.app.gateway.conftest import serving

HEAD = b"POST /api/v1/jobs/x/run HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"


def connect(port):
    made = socket.create_connection(("127.0.0.1", port), timeout=10)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def until_closed(connection):
    """Everything the server says until it closes."""
    said = b""
    try:
        while chunk := connection.recv(65536):
            said += chunk
    except ConnectionResetError:
        pass
    return said


def status_of(said):
    return int(said.split(b" ", 2)[1]) if said else None


def test_a_declared_length_over_the_limit_is_refused_before_the_body(port):
    with connect(port) as connection:
        connection.sendall(HEAD + b"Content-Length: 1000001\r\n\r\n")
        said = until_closed(connection)
    assert status_of(said) == 413
    assert json.loads(said.partition(b"\r\n\r\n")[2])["title"] == "Too large"


def test_a_chunked_body_is_counted_as_it_comes(port):
    sent = 0
    with connect(port) as connection:
        connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        try:
            for _ in range(200):
                connection.sendall(b"10000\r\n" + b"x" * 65536 + b"\r\n")
                sent += 65536
        except OSError:
            pass
        said = until_closed(connection)
    assert status_of(said) == 413
    assert sent < 200 * 65536


@pytest.mark.parametrize(
    "headers",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: 1e3\r\n",
        b"Content-Length: 99999999999999999999999\r\n",
    ],
)
def test_lengths_that_make_no_sense_are_refused(port, headers):
    with connect(port) as connection:
        connection.sendall(HEAD + headers + b"\r\n{}")
        said = until_closed(connection)
    assert status_of(said) in (400, 413)
    assert b"application/problem+json" in said


def test_a_body_longer_than_it_says_is_not_read_as_more(port):
    with connect(port) as connection:
        connection.sendall(HEAD + b"Content-Length: 2\r\n\r\n{}" + b"x" * 1000 + b"\r\n\r\n")
        said = until_closed(connection)
    assert b"HTTP/1.1 400" in said
    assert b"HTTP/1.1 2" not in said
    assert said.count(b"HTTP/1.1") <= 2


@pytest.mark.parametrize("encoding", [b"Content-Length: 50\r\n", b"Transfer-Encoding: chunked\r\n"])
def test_a_body_that_dawdles_is_closed_in_time(port, encoding):
    began = time.monotonic()
    with connect(port) as connection:
        connection.sendall(HEAD + encoding + b"\r\n")
        connection.settimeout(0.1)
        said = b""
        while time.monotonic() - began < 8:
            try:
                connection.sendall(b"1\r\nx\r\n" if b"chunked" in encoding else b"x")
                chunk = connection.recv(65536)
            except TimeoutError:
                continue
            except OSError:
                break
            if not chunk:
                break
            said += chunk
    assert time.monotonic() - began < 4
    assert status_of(said) == 408


def test_headers_that_dawdle_are_closed_in_time(port):
    began = time.monotonic()
    with connect(port) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        assert status_of(until_closed(connection)) == 408
    assert 0.3 < time.monotonic() - began < 3


def test_a_second_request_on_the_same_connection_has_the_same_deadline(port):
    with connect(port) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert b"200 OK" in connection.recv(65536)
        began = time.monotonic()
        connection.sendall(b"GET /healthz HTTP/1.1\r\nX-Slow: ")
        assert status_of(until_closed(connection)) == 408
    assert time.monotonic() - began < 3


def test_endless_headers_are_refused(port):
    with connect(port) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        try:
            for n in range(5000):
                connection.sendall(b"X-%d: %s\r\n" % (n, b"y" * 100))
        except OSError:
            pass
        assert status_of(until_closed(connection)) in (431, None)


def test_two_hundred_slow_clients_do_not_harm_a_healthy_one(port):
    with ExitStack() as stack:
        slow = [stack.enter_context(connect(port)) for _ in range(200)]
        for n, connection in enumerate(slow):
            connection.sendall(HEAD + (b"X-Slow: " if n % 2 else b"Content-Length: 50\r\n\r\nx"))
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as healthy:
            took = []
            for _ in range(20):
                began = time.monotonic()
                assert healthy.get("/healthz").status_code == 200
                took.append(time.monotonic() - began)
        assert max(took) < 1
        began = time.monotonic()
        for connection in slow:
            until_closed(connection)
        assert time.monotonic() - began < 5


@pytest.fixture
def logs_as_the_gateway_does():
    before = structlog.get_config()
    log.configure("gateway")
    yield
    structlog.configure(**before)
    structlog.contextvars.clear_contextvars()


def test_a_client_that_hangs_up_is_one_line_in_the_log(port, capfd, logs_as_the_gateway_does):
    with connect(port) as connection:
        connection.sendall(HEAD + b"Content-Length: 50\r\n\r\nhalf")
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as healthy:
        deadline = time.monotonic() + 5
        text = ""
        while "hung up" not in text and time.monotonic() < deadline:
            assert healthy.get("/healthz").status_code == 200
            out, err = capfd.readouterr()
            text += out + err
    assert text.count("client hung up") == 1
    assert "Traceback" not in text


def test_keep_alive_and_large_bodies_still_work(port):
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as healthy:
        for _ in range(3):
            assert healthy.post("/api/v1/jobs/x/run", content=b'{"payload": {"x": "' + b"y" * 900_000 + b'"}}').status_code == 401
            assert healthy.get("/healthz").status_code == 200


@pytest.mark.slow
def test_the_real_deadlines_are_at_most_five_and_ten_seconds(app):
    from app.gateway.app import create_app
    from app.gateway.protocol import GuardedProtocol

    with serving(create_app(), GuardedProtocol) as found:
        began = time.monotonic()
        with connect(found) as headers, connect(found) as body:
            headers.settimeout(20)
            body.settimeout(20)
            headers.sendall(b"GET / HTTP/1.1\r\n")
            body.sendall(HEAD + b"Content-Length: 50\r\n\r\nx")
            until_closed(headers)
            assert 4 < time.monotonic() - began < 6
            until_closed(body)
            assert 9 < time.monotonic() - began < 11
