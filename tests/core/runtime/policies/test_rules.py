"""Each rule by itself: what it says to which action, and the sentence a person reads."""

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.runtime.actions.models import Audience, Origin
from core.runtime.policies import rules
from core.runtime.policies.engine import combine
from core.runtime.policies.models import Stage, Verdict
from core.runtime.policies.registry import Policy, Said, allow, defer, deny
from core.runtime.policies.registry import ask as needs
from core.runtime.policies.rules import (
    AGENT_KINDS,
    APPROVAL_KINDS,
    CONTACT_CEILING,
    HUMAN_TASKS,
    KILL_SWITCH,
    MONEY_CEILINGS,
    ORGANISATION_ENABLED,
    PERSON_ASKED,
    RATE_LIMIT,
    SEND_MODE,
    SENSITIVE_PATTERNS,
    SUPPRESSION,
    TWO_PEOPLE,
    UNTRUSTED_ORIGIN,
)
from core.runtime.policies.rules.texts import has_card
from core.runtime.policies.situation import Window
from tests.core.runtime.policies.facing import ANN, NOW, ask, seen, word

STOP = {"reach": "everything", "reason": "Wrong list.", "by": "Dave", "at": NOW.isoformat()}
TASK = {"kind": "task.create", "audience": Audience.NOBODY, "recipients": (), "strangers": (), "account": "inside"}
EVIDENCE = "She wrote: please call me back."
USD = {"action": {"USD": 1000}, "day": {"USD": 2000}, "week": {"USD": 3000}}
Case = tuple[Policy, dict[str, Any], dict[str, Any], str | None]

CASES: list[Case] = [
    (KILL_SWITCH, {}, {}, "allow"),
    (KILL_SWITCH, {}, {"env_stop": "By hand."}, "deny"),
    (KILL_SWITCH, {}, {"stops": (STOP,)}, "deny"),
    (KILL_SWITCH, {}, {"readable": False}, "deny"),
    (ORGANISATION_ENABLED, {}, {}, "allow"),
    (ORGANISATION_ENABLED, {"enabled": False}, {}, "deny"),
    (ORGANISATION_ENABLED, {"enabled": "no"}, {}, "deny"),
    (AGENT_KINDS, {}, {}, "allow"),
    (AGENT_KINDS, {}, {"kind": "pipedrive.deal.create"}, "allow"),
    (AGENT_KINDS, {}, {"kind": "pipedrive.deal.create", "agent": "Delivery AI"}, "deny"),
    (AGENT_KINDS, {}, {"agent": "Somebody AI"}, "deny"),
    (AGENT_KINDS, {}, {"agent": None, "requested_by_kind": "system"}, "allow"),
    (AGENT_KINDS, {}, {"agent": None, "requested_by_kind": "schedule", "kind": "ads.create"}, "deny"),
    (AGENT_KINDS, {}, {"agent": None, "requested_by_kind": "user"}, None),
    (PERSON_ASKED, {}, {}, None),
    (PERSON_ASKED, {}, {"agent": None, "requested_by_kind": "user"}, "allow"),
    (PERSON_ASKED, {}, {"agent": None, "requested_by_kind": "user", "requested_by_id": None}, "deny"),
    (PERSON_ASKED, {}, {"agent": None, "requested_by_kind": "api"}, "deny"),
    (PERSON_ASKED, {}, {"agent": None, "requested_by_kind": "api", "api_scopes": ("actions:read",)}, "deny"),
    (PERSON_ASKED, {}, {"agent": None, "requested_by_kind": "api", "api_scopes": ("actions:propose",)}, "allow"),
    (HUMAN_TASKS, {}, {}, None),
    (HUMAN_TASKS, {}, TASK | {"payload": {"reason": "client_asked", "evidence": EVIDENCE}}, "allow"),
    (HUMAN_TASKS, {}, TASK | {"payload": {"reason": "client_asked", "evidence": "yes"}}, "deny"),
    (HUMAN_TASKS, {}, TASK | {"payload": {"reason": "would_be_nice", "evidence": EVIDENCE}}, "deny"),
    (HUMAN_TASKS, {}, TASK | {"payload": {"reason": "compliance_due", "evidence": EVIDENCE}}, "deny"),
    (HUMAN_TASKS, {}, TASK | {"payload": {"reason": "compliance_due", "evidence": EVIDENCE, "due": "2026-12-18"}}, "allow"),
    (HUMAN_TASKS, {}, TASK | {"payload": {"reason": "compliance_due", "evidence": EVIDENCE, "due": "2026-12-19"}}, "deny"),
    (HUMAN_TASKS, {}, TASK | {"payload": {"reason": "safety", "evidence": EVIDENCE}}, "allow"),
    (UNTRUSTED_ORIGIN, {}, {}, None),
    (UNTRUSTED_ORIGIN, {}, {"untrusted_fields": ("recipient",)}, "needs_approval"),
    (UNTRUSTED_ORIGIN, {}, {"origin": Origin.UNTRUSTED}, "allow"),
    (UNTRUSTED_ORIGIN, {}, {"origin": Origin.UNTRUSTED, "cost_minor": 1}, "deny"),
    (UNTRUSTED_ORIGIN, {}, {"untrusted_fields": ("amount",), "cost_minor": 1}, "deny"),
    (SUPPRESSION, {}, {}, "allow"),
    (SUPPRESSION, {}, {"recipients": ()}, None),
    (SUPPRESSION, {}, {"suppressed": {ANN: "opt_out"}}, "deny"),
    (SUPPRESSION, {}, {"suppression_readable": False}, "deny"),
    (SEND_MODE, {"mode": "dry_run"}, {}, "allow"),
    (SEND_MODE, {}, {}, "defer"),
    (SEND_MODE, {}, {"approved_by_people": 9}, "defer"),
    (SEND_MODE, {}, {"strangers": ()}, "allow"),
    (SEND_MODE, {}, {"recipients": (), "strangers": ()}, "defer"),
    (SEND_MODE, {}, {"recipients": (), "strangers": (), "audience": Audience.INTERNAL}, "allow"),
    (SEND_MODE, {}, {"account": "none"}, "allow"),
    (SEND_MODE, {"our_domains": ["northwind.example"]}, {}, "allow"),
    (SEND_MODE, {"our_domains": ["wind.example"]}, {}, "defer"),
    (SEND_MODE, {"our_domains": ["northwind.example"]}, {"strangers": ("ann@northwind.example.evil.com",)}, "defer"),
    (SEND_MODE, {"our_domains": ["northwind.example"]}, {"strangers": ("ann@x.northwind.example",)}, "defer"),
    (SEND_MODE, {"mode": "live"}, {}, "allow"),
    (SEND_MODE, {"mode": "limited_live"}, {"outside": Window(19)}, "allow"),
    (SEND_MODE, {"mode": "limited_live"}, {"outside": Window(20, 0, NOW + timedelta(hours=2))}, "defer"),
    (SEND_MODE, {"mode": "limited_live", "daily_cap": 0}, {}, "defer"),
    (APPROVAL_KINDS, {}, {}, "needs_approval"),
    (APPROVAL_KINDS, {"outside": False}, {}, "allow"),
    (APPROVAL_KINDS, {}, {"strangers": ()}, "allow"),
    (APPROVAL_KINDS, {}, {"strangers": (), "cost_minor": 1}, "needs_approval"),
    (APPROVAL_KINDS, {"kinds": ["mail.send"]}, {"strangers": ()}, "needs_approval"),
    (APPROVAL_KINDS, {"kinds": ["mail.send"]}, {"undo": True, "requested_by_kind": "user"}, "allow"),
    (APPROVAL_KINDS, {}, {"undo": True, "requested_by_kind": "run"}, "needs_approval"),
    (RATE_LIMIT, {}, {"rate": Window(49)}, "allow"),
    (RATE_LIMIT, {}, {"rate": Window(50)}, "defer"),
    (RATE_LIMIT, {}, {"rate": Window(40, 10)}, "defer"),
    (RATE_LIMIT, {}, {"rate": Window(50), "kind": "slack.post"}, "allow"),
    (RATE_LIMIT, {}, {"rate": Window(30), "kind": "ads.pause"}, "defer"),
    (MONEY_CEILINGS, USD, {}, None),
    (MONEY_CEILINGS, USD, {"cost_minor": 1000}, "allow"),
    (MONEY_CEILINGS, USD, {"cost_minor": 1001}, "deny"),
    (MONEY_CEILINGS, USD, {"cost_minor": -1}, "deny"),
    (MONEY_CEILINGS, USD, {"cost_minor": 1000, "spent_today_minor": 1000, "spent_week_minor": 1000}, "allow"),
    (MONEY_CEILINGS, USD, {"cost_minor": 1000, "spent_today_minor": 1001, "spent_week_minor": 1001}, "deny"),
    (MONEY_CEILINGS, USD, {"cost_minor": 1000, "spent_week_minor": 2001}, "deny"),
    (MONEY_CEILINGS, USD, {"cost_minor": 1, "currency": "JPY"}, "deny"),
    (TWO_PEOPLE, {}, {}, None),
    (TWO_PEOPLE, {}, {"cost_minor": 9_999}, "allow"),
    (TWO_PEOPLE, {}, {"cost_minor": 10_000}, "needs_approval"),
    (TWO_PEOPLE, {}, {"cost_minor": 1, "currency": "EUR"}, "needs_approval"),
    (CONTACT_CEILING, {}, {}, "allow"),
    (CONTACT_CEILING, {}, {"strangers": ()}, None),
    (CONTACT_CEILING, {}, {"now": NOW + timedelta(hours=10)}, "defer"),
    (CONTACT_CEILING, {"quiet": False}, {"now": NOW + timedelta(hours=10)}, "allow"),
    (CONTACT_CEILING, {"week": 2}, {"contacts": {ANN: (NOW - timedelta(days=2), NOW - timedelta(days=1))}}, "defer"),
    (CONTACT_CEILING, {"week": 2}, {"contacts": {ANN: (NOW - timedelta(days=8), NOW - timedelta(days=1))}}, "allow"),
    (CONTACT_CEILING, {"month": 2}, {"contacts": {ANN: (NOW - timedelta(days=28), NOW - timedelta(days=8))}}, "defer"),
    (CONTACT_CEILING, {"week": 1}, {"contacts": {ANN: (NOW,)}, "undo": True}, "allow"),
    (CONTACT_CEILING, {"week": 1, "marketing_days": 5}, {"contacts": {ANN: (NOW,)}, "marketing": True}, "deny"),
    (CONTACT_CEILING, {"week": 1, "marketing_days": 8}, {"contacts": {ANN: (NOW,)}, "marketing": True}, "defer"),
    (CONTACT_CEILING, {"week": 0}, {}, "deny"),
    (SENSITIVE_PATTERNS, {}, {"words": ()}, None),
    (SENSITIVE_PATTERNS, {}, {"words": ("Good morning, here are the numbers.",)}, "allow"),
]  # fmt: skip


@pytest.mark.parametrize(("policy", "values", "changes", "wanted"), CASES, ids=[f"{n}-{c[0].key}" for n, c in enumerate(CASES)])
def test_what_a_rule_says(policy: Policy, values: dict[str, Any], changes: dict[str, Any], wanted: str | None) -> None:
    said = ask(policy, values, **changes)
    assert (None if said is None else said.verdict.value) == wanted, said
    if said is not None:
        assert said.reason.endswith((".", "!")), said.reason
        assert "_" not in said.reason.replace("task_", "") or "“" in said.reason
        assert said.verdict != Verdict.DEFER or (said.until is not None and said.until > NOW)
    inputs = policy.inputs(seen(**changes))
    assert json.loads(json.dumps(inputs)) == inputs, "inputs are plain JSON, or a stored verdict could not be asked again"


SENTENCES: list[tuple[Policy, dict[str, Any], dict[str, Any], str]] = [
    (
        RATE_LIMIT, {}, {"rate": Window(50, 0, NOW + timedelta(minutes=125))},
        "50 mails were sent in the last hour, the most allowed is 50; the next can go at 14:05.",
    ),
    (RATE_LIMIT, {"window_s": 3}, {"rate": Window(1)}, "1 mail was sent in the last 3 seconds, the most allowed is 50."),
    (
        CONTACT_CEILING, {}, {"now": NOW + timedelta(hours=10)},
        "These are quiet hours for people outside; it can go tomorrow at 07:00.",
    ),
    (
        CONTACT_CEILING, {"week": 2}, {"contacts": {ANN: (NOW - timedelta(days=2), NOW - timedelta(days=1))}},
        "ann@northwind.example got 2 messages in the last 7 days, the most allowed is 2; the next can go on Mon 23 Nov at 12:00.",
    ),
    (MONEY_CEILINGS, USD, {"cost_minor": 1001}, "It costs $10.01, the most allowed for one action is $10."),
    (
        MONEY_CEILINGS, USD, {"cost_minor": 500, "spent_today_minor": 1800, "spent_week_minor": 1800},
        "$18 was spent today; $5 more would pass the ceiling of $20.",
    ),
    (TWO_PEOPLE, {}, {"cost_minor": 25_000}, "It costs $250; from $100 on two people have to approve."),
    (
        SEND_MODE, {}, {},
        f"It would reach {ANN} outside, and only our own people are written to; an admin can change the send mode.",
    ),
    (SUPPRESSION, {}, {"suppressed": {ANN: "complaint"}}, f"Nothing may be sent to {ANN}, since they complained about a mail."),
    (KILL_SWITCH, {}, {"stops": (STOP,)}, "Everything is stopped: Dave pulled the kill switch at 12:00:00. Wrong list."),
]  # fmt: skip


@pytest.mark.parametrize(("policy", "values", "changes", "sentence"), SENTENCES, ids=[c[0].key for c in SENTENCES])
def test_the_reason_has_the_number(policy: Policy, values: dict[str, Any], changes: dict[str, Any], sentence: str) -> None:
    said = ask(policy, values, **changes)
    assert said is not None
    assert said.reason == sentence


SECRETS = [
    "sk-ant-api03-AbCdEfGhIjKlMnOpQrStUvWxYz0123456789", "xoxb-1234567890-abcdefghijkl", "AKIAIOSFODNN7EXAMPLE",
    "ghp_abcdefghijklmnopqrstuvwxyz0123456789", "-----BEGIN RSA PRIVATE KEY-----", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "postgresql://ops:hunter22@db.example/ops", "re_AbCd1234_ZyXwVuTsRqPoNmLkJiHg",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dBjftJeZ4CVP-mB92K27uhbUJU1p1r",
]  # fmt: skip


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("hide", [str, lambda t: t[:9] + "\u200b" + t[9:], lambda t: f"Hello\n{t}\nBye"])
def test_secrets_never_leave(secret: str, hide: Any) -> None:
    said = ask(SENSITIVE_PATTERNS, words=("Here it is:", hide(secret)))
    assert said is not None
    assert said.verdict == Verdict.DENY
    assert secret[:12] not in said.reason


@pytest.mark.parametrize(
    "text",
    [
        "Please do a WIRE   transfer.",
        "the pass\u200bword",
        "ＰＡＳＳＷＯＲＤ",
        "card 4111 1111 1111 1111",
        "5500-0000-0000-0004",
        "my IBAN is",
    ],
)
def test_other_findings_need_a_person(text: str) -> None:
    assert word(SENSITIVE_PATTERNS, words=(text,)) == "needs_approval"


@pytest.mark.parametrize(
    "text",
    [
        "4111 1111 1111 1112",
        "Order 1234567890123",
        "1732212345.123456",
        "passwordless sign-in",
        "0000 0000 0000 0000",
        "+49 170 1234567",
    ],
)
def test_what_only_looks_like_it_is_let_through(text: str) -> None:
    assert word(SENSITIVE_PATTERNS, words=(text,)) == "allow"


@given(st.from_regex(r"[3456]\d{14,17}", fullmatch=True))
def test_every_card_number_is_found_by_its_check_digit(body: str) -> None:
    digits = [int(c) for c in body]
    total = sum(d * 2 - 9 * (d > 4) if n % 2 == 0 else d for n, d in enumerate(reversed(digits)))
    number = body + str(-total % 10)
    wrong = body + str((1 - total) % 10)
    assert has_card(f"Pay with {number}!") == (len(set(number)) > 1)
    assert not has_card(f"Pay with {wrong}!")


def test_dry_run_is_marked() -> None:
    assert ask(SEND_MODE, {"mode": "dry_run"}).dry_run  # type: ignore[union-attr]
    assert ask(SEND_MODE, account="none").dry_run  # type: ignore[union-attr]
    assert not ask(SEND_MODE, {"mode": "live"}).dry_run  # type: ignore[union-attr]


# ---- together

_GRANT, _OTHER = AGENT_KINDS, SEND_MODE
_LATER = NOW + timedelta(hours=1)


def together(*said: tuple[Policy, Said], stage: Stage = Stage.SEND, people: int = 0) -> tuple[str, int]:
    made = combine(said, seen(stage=stage, approved_by_people=people))
    return made.verdict.value, made.approvals


YES = (_GRANT, allow("It may."))
COMBINED = [
    ((), {}, ("deny", 0)),
    (((_OTHER, allow("Nothing against it.")),), {}, ("deny", 0)),
    ((YES,), {}, ("allow", 0)),
    ((YES, (_OTHER, deny("No."))), {"people": 9}, ("deny", 0)),
    ((YES, (_OTHER, needs("Ask."))), {}, ("needs_approval", 1)),
    ((YES, (_OTHER, needs("Ask."))), {"people": 1}, ("allow", 1)),
    ((YES, (_OTHER, needs("Ask."))), {"people": 1, "stage": Stage.PROPOSE}, ("needs_approval", 1)),
    ((YES, (_OTHER, needs("Ask.")), (_OTHER, needs("Two.", 2))), {"people": 1}, ("needs_approval", 2)),
    ((YES, (_OTHER, needs("Ask.")), (_OTHER, defer("Later.", _LATER))), {}, ("needs_approval", 1)),
    ((YES, (_OTHER, needs("Ask.")), (_OTHER, defer("Later.", _LATER))), {"people": 1}, ("defer", 1)),
    ((YES, (_OTHER, defer("Later.", _LATER)), (_OTHER, deny("No."))), {}, ("deny", 0)),
]


@pytest.mark.parametrize(("said", "how", "wanted"), COMBINED)
def test_deny_over_approval_over_defer_over_allow(said: Any, how: dict[str, Any], wanted: tuple[str, int]) -> None:
    assert together(*said, **how) == wanted


def test_of_two_that_defer_the_later_one_counts_and_money_is_for_admins() -> None:
    soon, late = defer("Soon.", NOW + timedelta(minutes=1)), defer("Late.", _LATER)
    made = combine([YES, (_OTHER, late), (_OTHER, soon)], seen(cost_minor=5))
    assert (made.until, made.reason, made.owner_role) == (_LATER, "Late.", "admin")


def test_every_rule_has_words_and_bounds_its_defaults() -> None:
    from core.runtime.policies import numbers

    keys = [
        "kill_switch", "organisation_enabled", "agent_kinds", "person_asked", "human_tasks", "sensitive_patterns",
        "untrusted_origin", "suppression", "contact_ceiling", "send_mode", "approval_kinds", "rate_limit", "money_ceilings",
        "two_people",
    ]  # fmt: skip
    assert [p.key for p in rules.ALL] == keys
    for policy in rules.ALL:
        assert policy.title
        assert policy.purpose.endswith(".")
        assert numbers.check(policy, policy.defaults) == policy.defaults
        assert all(numbers.say(n, n.default) for n in policy.numbers)
    assert {p.key for p in rules.ALL if p.grants} == {"agent_kinds", "person_asked"}
    assert {p.key for p in rules.ALL if p.two_people} == {"money_ceilings", "two_people"}
