"""Opting out: one click, no sign-in, at once; looking changes nothing, and a bad link tells nothing."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from fastapi.testclient import TestClient

from app.edge.limits import Limit
from core.kit import db as database
from core.kit import keyring
from core.kit.db import STAFF
from core.runtime.contacts import queries, rules
from core.runtime.orgs.models import AGENCY_ID
from tests.cast import CORNERSTONE_ORG, make_cast
from tests.tools.database import sql

ONE_CLICK = {"List-Unsubscribe": "One-Click"}


@pytest.fixture
def cast(db):
    keyring.create()
    with database.transaction(STAFF) as session:
        return make_cast(session)


@pytest.fixture
def public(app, cast):
    app.state.opt_out_limit = Limit(1000, 60.0)
    return TestClient(app, raise_server_exceptions=False)


def link(person="ann@northwind.example", org_id=AGENCY_ID):
    return f"/u/{rules.opt_out_token(org_id, person)}"


def reasons(*people):
    with database.transaction(STAFF) as session:
        return queries.suppressed(session, people)


def count(what):
    return sql(f"SELECT count(*) FROM {what}")[0][0]


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"])
def test_looking_changes_nothing(public, method):
    before = count("events"), count("suppressions")
    for _ in range(3):
        public.request(method, link(), headers={"user-agent": "mail scanner"})
    assert (count("events"), count("suppressions")) == before == (count("events"), 0)


def test_the_page_has_one_button_and_shows_the_address_only_in_part(public):
    page = public.get(link("ann.lee@northwind.example"))
    assert page.status_code == 200
    assert page.text.count("<button") == 1
    assert page.text.count('method="post"') == 1
    assert "an…@northwind.example" in page.text
    assert "ann.lee" not in page.text
    assert "<script" not in page.text


@pytest.mark.parametrize("path", [link, lambda: "/u/nonsense"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_nobody_learns_of_the_link_and_nothing_is_kept(public, method, path):
    answer = public.request(method, path())
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-robots-tag"] == "noindex, nofollow"
    assert answer.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "set-cookie" not in answer.headers
    assert "noindex" in answer.text


@pytest.mark.parametrize(
    "given",
    [
        {"data": ONE_CLICK},
        {"files": {"List-Unsubscribe": (None, "One-Click")}},
        {"data": {"opt-out": "yes"}},
        {"content": b"List-Unsubscribe=One-Click"},
        {"content": b"list-unsubscribe=one-click"},
    ],
    ids=["form", "multipart", "the page's button", "no content type", "lower case"],
)
def test_one_click_works_at_once_without_cookie_or_question(public, given):
    answer = public.post(link("Ann.Lee@gmail.com", CORNERSTONE_ORG), **given)
    assert answer.status_code == 200
    assert "off the list" in answer.text
    assert reasons("annlee+x@googlemail.com") == {"annlee+x@googlemail.com": "opt_out"}
    with database.transaction(STAFF) as session:
        row = queries.suppressions(session).rows[0]
    assert (row.org, row.source) == ("Cornerstone", "opt-out link")


def test_any_number_of_clicks_is_one_opt_out(public):
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: public.post(link(), data=ONE_CLICK).status_code, range(40)))
    assert set(answers) == {200}
    assert count("suppressions") == 1
    assert count("events WHERE type = 'contact.suppressed'") == 1


@pytest.mark.parametrize("data", [{}, {"List-Unsubscribe": "later"}, {"x": "y"}])
def test_a_post_that_asks_for_nothing_does_nothing(public, data):
    assert public.post(link(), data=data).status_code == 400
    assert count("suppressions") == 0


def test_every_bad_link_gets_the_same_answer(public):
    good = rules.opt_out_token(AGENCY_ID, "ann@northwind.example")
    bad = [good[:-1], good + "A", good[::-1], "x", "A" * 90, good.swapcase(), "%F0%9F%98%80", good + "=", "a" * 3900]
    for method in ("GET", "POST"):
        seen = {public.request(method, f"/u/{b}", data=ONE_CLICK if method == "POST" else None).text for b in bad}
        assert len(seen) == 1
        assert {public.request(method, f"/u/{b}").status_code for b in bad} == {404}
    assert count("suppressions") == 0


def test_a_link_of_a_client_that_is_gone_still_works(public):
    from uuid import uuid4

    assert public.post(link(org_id=uuid4()), data=ONE_CLICK).status_code == 200
    assert reasons("ann@northwind.example")


def test_a_link_lives_on_when_keys_are_rotated(public, state_folder):
    from core.kit import keyring

    keyring.create()
    old, first = link(), keyring.keyring().current
    assert keyring.add() != first
    keyring.drop(first)
    answer = public.post(old, data=ONE_CLICK)
    assert answer.status_code == 200
    assert reasons("ann@northwind.example")


def test_one_source_asks_modestly_often(public, app):
    app.state.opt_out_limit = Limit(5, 60.0)
    answers = [public.get(link()).status_code for _ in range(8)]
    assert answers == [200] * 5 + [429] * 3
    assert int(public.post(link(), data=ONE_CLICK).headers["retry-after"]) >= 1


def test_the_limit_forgets_and_stays_small(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("app.edge.limits.time.monotonic", lambda: now[0])
    limit = Limit(2, 60.0, sources=100)
    assert [limit.wait_s("a") for _ in range(3)] == [0, 0, 60]
    now[0] = 30.0
    assert limit.wait_s("a") == 30
    now[0] = 61.0
    assert limit.wait_s("a") == 0
    for n in range(1000):
        limit.wait_s(f"source {n}")
    assert len(limit._seen) == 100


def test_the_log_holds_no_link(public, capsys):
    token = rules.opt_out_token(AGENCY_ID, "ann@northwind.example")
    public.get(f"/u/{token}")
    public.post(f"/u/{token}", data=ONE_CLICK)
    public.post(f"/u/{token}", content=b"x" * 1_100_000)
    said = capsys.readouterr()
    assert token not in said.out + said.err


def test_without_a_database_it_says_so_and_asks_to_try_again(public, monkeypatch):
    from core.config import get_settings

    path = link()
    monkeypatch.setenv("DATABASE_URL", "postgresql://ops_app:x@127.0.0.1:1/none")
    get_settings.cache_clear()
    try:
        assert public.get(path).status_code == 200
        answer = public.post(path, data=ONE_CLICK)
    finally:
        monkeypatch.undo()
        get_settings.cache_clear()
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "60"
    assert "not save" in answer.text
