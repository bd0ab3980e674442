"""Signatures: not one changed byte gets through, and they are compared in constant time only."""

import ast
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.integrations.resend import verify as resend
from core.integrations.slack import verify as slack
from tests.app.gateway.vendors import MAIL_SECRET, SLACK_SECRET, click, mail_headers, report, slack_headers

MUTATIONS = [500, pytest.param(10_000, marks=pytest.mark.soak)]
ROOT = Path(__file__).parents[3]

NOW = int(time.time())
CLICK = click("Dave", 17, "ab" * 32)
CLICK_HEADERS = slack_headers(CLICK, at=NOW)
REPORT = report()


def changed(parts, data):
    """The parts of a request with one byte of one of them changed, taken out or put in."""
    which = data.draw(st.sampled_from([n for n, part in enumerate(parts) if part]))
    at, byte = data.draw(st.integers(0, len(parts[which]) - 1)), data.draw(st.integers(0, 255))
    how = data.draw(st.sampled_from(["change", "change", "change", "remove", "insert"]))
    old = parts[which]
    if how == "change":
        new = old[:at] + bytes([byte if byte != old[at] else byte ^ 1]) + old[at + 1 :]
    else:
        new = old[:at] + (b"" if how == "remove" else bytes([byte])) + old[at + (how == "remove") :]
    return [new if n == which else part for n, part in enumerate(parts)]


@pytest.mark.parametrize("many", MUTATIONS)
def test_no_click_with_one_changed_byte_is_taken(many):
    @settings(max_examples=many, deadline=None, database=None)
    @given(st.data())
    def one(data):
        names = ("x-slack-request-timestamp", "x-slack-signature")
        body, *values = changed([CLICK, *(CLICK_HEADERS[n].encode() for n in names)], data)
        headers = {n: v.decode("latin-1") for n, v in zip(names, values, strict=True)}
        assert slack.verified(body, headers, [SLACK_SECRET], datetime.fromtimestamp(NOW, UTC)) is None

    one()


@pytest.mark.parametrize("many", MUTATIONS)
def test_no_report_with_one_changed_byte_is_taken(many):
    @settings(max_examples=many, deadline=None, database=None)
    @given(st.data())
    def one(data):
        given_headers = mail_headers(REPORT)  # signed anew: the library looks at the clock itself
        names = ("svix-id", "svix-timestamp", "svix-signature")
        body, *values = changed([REPORT, *(given_headers[n].encode() for n in names)], data)
        headers = {n: v.decode("latin-1") for n, v in zip(names, values, strict=True)}
        assert resend.verified(body, headers, [MAIL_SECRET]) is None

    one()


def test_the_unchanged_ones_are_taken():
    assert slack.verified(CLICK, CLICK_HEADERS, [SLACK_SECRET], datetime.fromtimestamp(NOW, UTC))
    assert resend.verified(REPORT, mail_headers(REPORT), [MAIL_SECRET]) == "msg_1"


@pytest.mark.parametrize("off", [-301, -300, -299, 0, 299, 300, 301])
def test_the_window_is_five_minutes_to_the_second(off):
    headers = slack_headers(CLICK, at=NOW + off)
    taken = slack.verified(CLICK, headers, [SLACK_SECRET], datetime.fromtimestamp(NOW, UTC)) is not None
    assert taken == (abs(off) <= 300)


def test_every_other_spelling_of_the_same_signature_is_refused():
    headers = mail_headers(REPORT)
    whole = headers["svix-signature"]
    last = whole[-2]  # two bits of the last letter mean nothing to a lenient reader
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    others = [whole[:-2] + letter + "=" for letter in alphabet if letter != last]
    others += [
        whole + "=",
        whole + " ",
        " " + whole,
        whole.rstrip("="),
        whole.replace("v1,", "v1, "),
        whole[:10] + "\n" + whole[10:],
    ]
    for other in others:
        assert resend.verified(REPORT, headers | {"svix-signature": other}, [MAIL_SECRET]) is None, other


SECRET_WORDS = ("signature", "hexdigest", "digest(", "_mac", "mac(", "sign(", "hmac", "secret_hash", "token_hash")


def plain_comparisons(source):
    """Lines that compare something of a signature with == or `in`: a clock could read it off letter by letter."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Compare) or not any(isinstance(o, ast.Eq | ast.NotEq | ast.In | ast.NotIn) for o in node.ops):
            continue
        sides = [ast.unparse(side).lower() for side in (node.left, *node.comparators)]
        if any(word in side for side in sides for word in SECRET_WORDS) and not any("len(" in s or "count" in s for s in sides):
            found.append(f"{node.lineno}: {ast.unparse(node)}")
    return found


def guarded_files():
    folders = (
        "core/integrations",
        "core/runtime/contacts",
        "core/domains/users",
        "core/kit",
        "app/gateway",
        "app/auth",
        "app/edge",
    )
    return [file for folder in folders for file in sorted((ROOT / folder).rglob("*.py"))]


def test_signatures_are_compared_in_constant_time_only():
    assert len(guarded_files()) > 40
    found = {}
    for file in guarded_files():
        # SQL looks a hash up by its index; that is no comparison of ours
        lines = [x for x in plain_comparisons(file.read_text()) if "hash ==" not in x.lower()]
        if lines:
            found[str(file.relative_to(ROOT))] = lines
    assert found == {}


def test_whoever_makes_a_signature_compares_it_in_constant_time():
    for file in guarded_files():
        source = file.read_text()
        if "hmac.new(" in source:
            assert "hmac.compare_digest(" in source, file


@pytest.mark.parametrize(
    "line",
    ["ok = sign(body, ts, secret) == given", "if mac.hexdigest() != x: pass", "good = signature in allowed", "a = _mac(b) == c"],
)
def test_the_check_above_sees_such_a_line(line):
    assert plain_comparisons(line)


@pytest.mark.parametrize("line", ["a = hmac.compare_digest(sign(b), c)", "b = len(signatures) == 3", "c = signature is None"])
def test_and_no_other(line):
    assert not plain_comparisons(line)
