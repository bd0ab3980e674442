import pytest
from starlette.testclient import TestClient

from app.auth import cookies, paths
from core.config import get_settings
from core.domains.users import rules, service
from core.kit import db as database
from core.kit.db import STAFF
from tests.app.auth.conftest import HOME, PASSWORD, link_for, make_app, sign_in

SESSION = "ops_session_8501"


def test_signing_in_and_out(client):
    assert client.get("/pipeline").status_code == 303
    answer = sign_in(client, next="/pipeline?stage=Won")
    assert (answer.status_code, answer.headers["location"]) == (303, "/pipeline?stage=Won")
    set_cookie = next(c for c in answer.headers.get_list("set-cookie") if c.startswith(SESSION))
    assert all(word in set_cookie for word in ("HttpOnly", "SameSite=lax", "Path=/"))
    assert "Secure" not in set_cookie
    assert client.get("/pipeline").text == "page /pipeline"
    assert client.get("/auth/sign-in").headers["location"] == "/"
    token = client.cookies[SESSION]
    answer = client.post("/auth/sign-out")
    assert answer.headers["location"] == "/auth/sign-in?bye=1"
    assert "You are signed out." in client.get("/auth/sign-in?bye=1").text
    client.cookies.set(SESSION, token)
    assert client.get("/pipeline").status_code == 303


def test_a_new_session_replaces_the_one_before(client):
    sign_in(client)
    before = client.cookies[SESSION]
    client.post("/auth/link", data={"token": link_for("tony@manageai.example")})
    assert client.cookies[SESSION] != before
    with database.transaction(STAFF) as session:
        assert service.resolve_session(session, before) is None
        assert service.resolve_session(session, client.cookies[SESSION]).name == "Tony"


def test_opening_a_link_changes_nothing_and_the_button_signs_in_once(client):
    token = link_for()
    for _ in range(3):
        opened = client.get(f"/auth/link?token={token}")
        assert opened.status_code == 200
        assert "no-store" in opened.headers["cache-control"]
    assert client.post("/auth/link", data={"token": token}).headers["location"] == "/"
    assert client.get("/").text == "page /"
    again = client.post("/auth/link", data={"token": token})
    assert again.status_code == 410
    assert "expired or was already used" in again.text
    assert "<code>ops users link EMAIL</code>" in again.text


@pytest.mark.parametrize("token", ["", "x" * 5000, "'\"><script>alert(1)</script>"])
def test_a_nonsense_link_is_one_sentence(client, token):
    assert client.get("/auth/link", params={"token": token}).status_code in (200, 410)
    answer = client.post("/auth/link", data={"token": token})
    assert answer.status_code == 410
    assert "<script" not in answer.text


def test_wrong_and_unknown_look_the_same(client):
    known, unknown = sign_in(client, "wrong"), sign_in(client, "wrong", email="nan@manageai.example")
    assert known.status_code == unknown.status_code == 401
    assert known.text.replace("dan@", "nan@") == unknown.text
    assert "set-cookie" not in known.headers


def test_too_many_guesses_are_turned_away_and_a_link_still_works(client):
    for _ in range(rules.LIMITS.pair):
        assert sign_in(client, "wrong").status_code == 401
    blocked = sign_in(client)
    assert blocked.status_code == 429
    assert blocked.headers["retry-after"] == "900"
    assert client.post("/auth/link", data={"token": link_for()}).status_code == 303


def test_a_browser_that_signed_in_before_is_known_to_its_address_only(client):
    sign_in(client)
    scope = {"headers": [(b"cookie", f"{cookies.BROWSER}={client.cookies[cookies.BROWSER]}".encode())]}
    assert cookies.known_browser(scope, " Dan@manageai.example")
    assert cookies.known_browser(scope, "dave@manageai.example") is None
    forged = {"headers": [(b"cookie", f"{cookies.BROWSER}=abc.{'0' * 64}".encode())]}
    assert cookies.known_browser(forged, "dan@manageai.example") is None
    with database.transaction(STAFF) as session:
        for n in range(rules.LIMITS.address):
            service.sign_in(session, "dan@manageai.example", "wrong", f"203.0.113.{n}")
    assert sign_in(client).status_code == 303
    client.cookies.delete(cookies.BROWSER)
    assert sign_in(client).status_code == 429


@pytest.mark.parametrize(
    "evil",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        " //evil.example",
        "javascript:alert(1)",
        "/auth/sign-out",
        "http:evil.example",
        "/" + "x" * 2000,
        "/\x7f/evil.example",
    ],
)
def test_sign_in_leads_nowhere_else(client, evil):
    assert paths.local_path(evil) == "/"
    assert sign_in(client, next=evil).headers["location"] == "/"


def test_text_from_outside_is_shown_as_text(client):
    answer = sign_in(client, "wrong", email='"><img src=x onerror=alert(1)>')
    assert "<img" not in answer.text
    assert "<img" not in client.get("/auth/sign-in", params={"next": '/"><img src=x>'}).text


def test_forms_from_another_site_are_refused(client):
    token = link_for()
    for origin in ("https://evil.example", "http://127.0.0.1:9999", "null", "http://127.0.0.1:8501.evil.example", ""):
        for path, data in (("/auth/link", {"token": token}), ("/auth/sign-out", {}), ("/auth/sign-in", {})):
            assert client.post(path, data=data, headers={"origin": origin}).status_code == 403
    without = TestClient(client.app, base_url=HOME)
    assert without.post("/auth/link", data={"token": token}).status_code == 403
    assert client.post("/auth/link", data={"token": token}).status_code == 303


def test_behind_tls_the_cookie_is_bound_to_it(cast, monkeypatch):
    monkeypatch.setenv("OPS_PUBLIC_URL", "https://ops.manageai.example")
    get_settings.cache_clear()
    try:
        app = make_app("https://ops.manageai.example")
        with TestClient(
            app,
            base_url="https://ops.manageai.example",
            follow_redirects=False,
            headers={"origin": "https://ops.manageai.example"},
        ) as client:
            answer = client.post("/auth/link", data={"token": link_for()})
            cookie = next(c for c in answer.headers.get_list("set-cookie") if "session" in c)
            assert cookie.startswith("__Host-ops_session=")
            assert "Secure" in cookie
            assert client.get("/").text == "page /"
            # a cookie that another host or plain HTTP could have planted does not count
            token = client.cookies["__Host-ops_session"]
            client.cookies.clear()
            client.cookies.set(SESSION, token)
            assert client.get("/").status_code == 303
    finally:
        get_settings.cache_clear()


def test_a_form_that_is_too_large_is_refused(client):
    assert client.post("/auth/sign-in", content=b"x" * 20_000).status_code == 413

    def chunks():
        for _ in range(40):
            yield b"x" * 1000

    assert client.post("/auth/sign-in", content=chunks()).status_code == 413
    assert client.post("/auth/sign-in", content=b"\xff\xfe").status_code == 400


def test_setting_a_password(client):
    client.post("/auth/link", data={"token": link_for("tony@manageai.example")})
    assert "Current password" not in client.get("/auth/password").text
    assert "at least 12 characters" in client.post("/auth/password", data={"new": "short"}).text
    old = client.cookies[SESSION]
    assert client.post("/auth/password", data={"new": PASSWORD}).status_code == 303
    assert client.cookies[SESSION] != old
    assert "Current password" in client.get("/auth/password").text
    wrong = client.post("/auth/password", data={"new": "five loud red foxes", "current": "no"})
    assert (wrong.status_code, "not your current password" in wrong.text) == (400, True)
    assert client.post("/auth/password", data={"new": "five loud red foxes", "current": PASSWORD}).status_code == 303
    client.post("/auth/sign-out")
    assert client.get("/auth/password").headers["location"] == "/auth/sign-in"
    assert sign_in(client, "five loud red foxes", email="tony@manageai.example").status_code == 303


def test_the_pages_need_nothing_from_outside_and_run_no_script(client):
    for path in ("/auth/sign-in", "/auth/link?token=abc", "/auth/sign-out"):
        answer = client.get(path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "script" not in answer.text
        assert "http://" not in answer.text
        assert "https://" not in answer.text
        assert 'style="' not in answer.text  # the policy allows the one style block only


def test_the_database_being_away_is_said_plainly(client, monkeypatch):
    sign_in(client)
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody:x@127.0.0.1:9/none")
    get_settings.cache_clear()
    try:
        for answer in (client.get("/pipeline"), sign_in(client), client.post("/auth/link", data={"token": "x"})):
            assert answer.status_code == 503
            assert answer.headers["retry-after"] == "5"
            assert "The database does not answer." in answer.text
            assert "Traceback" not in answer.text
    finally:
        get_settings.cache_clear()
