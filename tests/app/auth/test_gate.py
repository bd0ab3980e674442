import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from app.edge.addresses import addresses_for
from core.domains.users import service
from core.kit import db as database
from core.kit.db import STAFF
from tests.app.auth.conftest import HOME, make_app, sign_in

STREAM = "ws://127.0.0.1:8501/_stcore/stream"


def test_without_a_session_pages_lead_to_sign_in_and_scripts_get_401(client):
    page = client.get("/run?run=7&fact=a%2Fb", headers={"sec-fetch-mode": "navigate"})
    assert (page.status_code, page.headers["location"]) == (303, "/auth/sign-in?next=/run%3Frun%3D7%26fact%3Da%252Fb")
    assert client.get("/run", headers={"sec-fetch-mode": "cors"}).status_code == 401
    for path in (
        "/_stcore/host-config",
        "/media/abc.csv",
        "/app/static/deals.csv",
        "/_stcore/upload_file/a/b",
        "/component/x.js",
    ):
        assert client.get(path, headers={"sec-fetch-mode": "cors"}).status_code == 401
    assert client.put("/_stcore/upload_file/a/b", content=b"x").status_code == 401


def test_what_holds_no_data_is_open(client):
    for path in (
        "/_stcore/health",
        "/favicon.png",
        "/static/js/index.js",
        "/app/static/fonts/inter.woff2",
        "/app/static/mark.svg",
    ):
        assert client.get(path).status_code == 200


def test_only_our_own_names_are_answered(client):
    sign_in(client)
    for host in ("evil.example", "127.0.0.1.evil.example", "127.0.0.1@evil.example", "", "10.0.0.9:8501"):
        assert client.get("/", headers={"host": host}).status_code == 421
    for host in ("127.0.0.1:8501", "localhost:8501", "LOCALHOST", "[::1]:8501"):
        assert client.get("/", headers={"host": host}).status_code in (200, 303)
    assert client.get("/_stcore/health", headers={"host": "probe.internal"}).status_code == 200


def test_bound_to_every_interface_bare_addresses_are_ours_and_names_are_not():
    everywhere = addresses_for("0.0.0.0", None)
    scope = lambda host: {"headers": [(b"host", host.encode())]}  # noqa: E731
    assert everywhere.host_is_ours(scope("192.168.1.20:8501"))
    assert not everywhere.host_is_ours(scope("rebound.evil.example:8501"))
    named = addresses_for("0.0.0.0", "https://ops.manageai.example/")
    assert named.host_is_ours(scope("OPS.manageai.example"))


def test_a_signed_in_websocket_of_our_own_opens(client):
    sign_in(client)
    with client.websocket_connect(STREAM, headers={"origin": HOME}) as socket:
        socket.send_text("hello")
        assert socket.receive_text() == "hello"


@pytest.mark.parametrize("origin", ["https://evil.example", "http://127.0.0.1:9999", "http://localhost:8501", "null", None])
def test_a_websocket_from_another_site_is_refused(client, origin):
    sign_in(client)
    bare = TestClient(client.app, base_url=HOME, cookies=dict(client.cookies))
    with bare.websocket_connect(STREAM, headers={"origin": HOME}):
        pass
    headers = {"origin": origin} if origin else {}
    with pytest.raises(WebSocketDisconnect) as refused, bare.websocket_connect(STREAM, headers=headers):
        pass
    assert refused.value.code == 1008


def test_an_anonymous_websocket_is_refused(client):
    for cookie in ({}, {"ops_session_8501": "guess"}):
        bare = TestClient(client.app, base_url=HOME, cookies=cookie)
        with pytest.raises(WebSocketDisconnect), bare.websocket_connect(STREAM, headers={"origin": HOME}):
            pass


def test_an_open_websocket_ends_with_its_session(cast):
    with TestClient(make_app(recheck_s=0.05), base_url=HOME, headers={"origin": HOME}, follow_redirects=False) as client:
        sign_in(client)
        with client.websocket_connect(STREAM, headers={"origin": HOME}) as socket:
            socket.send_text("hello")
            assert socket.receive_text() == "hello"
            with database.transaction(STAFF) as session:
                service.disable(session, "dan@manageai.example")
            with pytest.raises(WebSocketDisconnect) as ended:
                socket.receive_text()
        assert ended.value.code == 1008
        assert client.get("/").status_code == 303


def test_a_role_change_is_seen_on_the_next_look(client):
    from app.auth.gate import _resolve

    sign_in(client)
    token = client.cookies["ops_session_8501"]
    assert _resolve(token).role == "delivery"
    with database.transaction(STAFF) as session:
        service.set_role(session, "dan@manageai.example", "sales")
    assert _resolve(token).role == "sales"
