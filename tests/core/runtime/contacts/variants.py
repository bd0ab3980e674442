"""Ways to reach a person who must not be reached: 500 of them, each for a person of its own, and honest mails beside them.

`variants()` makes them, the same ones each time; `carry_out` takes one along the real way: propose, approve, carry out.
"""

import random
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from core.errors import BadInput, OpsError
from core.kit import db as database
from core.kit.actor import Actor
from core.kit.db import STAFF
from core.runtime.actions import service as actions
from core.runtime.actions.models import Action, ActionState, Decided
from core.runtime.contacts import reports, rules, service
from core.runtime.contacts.models import Why
from core.runtime.orgs.models import AGENCY_ID
from core.runtime.runs.execute import execute
from tests.cast import CORNERSTONE_ORG, NORTHWIND_ORG

OUR_DOMAIN = "manageai.example"
ORGS = (AGENCY_ID, CORNERSTONE_ORG, NORTHWIND_ORG)
BEFORE, BETWEEN = "before it is proposed", "between approval and sending"
LIVE, INTERNAL, DRY_RUN = "live", "internal_only", "dry_run"
MARK = "zq"
"""Every person who must not be reached has it in their address; nobody else has."""


@dataclass(frozen=True)
class Variant:
    """One try. `person` must not be reached by any spelling; None: nobody outside may be (`mode` says why).

    `listed` is how the person stands on the list, `heard` how it came there: manual, link, bounce, complaint.
    """

    number: int
    way: str
    payload: dict[str, Any]
    person: str | None
    listed: str = ""
    heard: str = "manual"
    heard_by: UUID = AGENCY_ID
    sent_for: UUID = AGENCY_ID
    when: str = BEFORE
    mode: str = LIVE
    agent: str | None = None
    edit: dict[str, Any] = field(default_factory=dict)
    by_policy: bool = False
    """Sent without a person's approval."""

    def __str__(self) -> str:
        return f"{self.number} {self.way}"


def mail(to: Any, **more: Any) -> dict[str, Any]:
    return {"to": to, "subject": "The week at Northwind", "text": "Hello,\n\nall went well."} | more


Way = tuple[str, dict[str, Any], str, str]
"""(its name, the payload, the person who must not be reached, how they stand on the list)."""
TAGS = ("x", "news", "a+b", "2026", "test")
HARMLESS = f"dave@{OUR_DOMAIN}"


def _cased(rng: random.Random, text: str) -> str:
    return "".join(rng.choice((c.upper(), c.lower())) for c in text)


def _dotted(rng: random.Random, text: str) -> str:
    return "".join(c + rng.choice(("", "", ".")) for c in text[:-1]) + text[-1]


def _spellings(rng: random.Random, name: str) -> list[Way]:
    """The same mailbox, spelt otherwise."""
    plain, gmail, tag = f"{name}@northwind.example", f"{name}@gmail.com", rng.choice(TAGS)
    wide = "".join(chr(ord(c) + 0xFEE0) if c.isalnum() and c.isascii() else c for c in name)
    twin = rng.choice([("gmail.com", "googlemail.com"), ("icloud.com", "me.com"), ("proton.me", "pm.me")])
    letters, punycode = rng.choice([
        ("müller.de", "xn--mller-kva.de"), ("bücher.example", "xn--bcher-kva.example"), ("例え.jp", "xn--r8jz45g.jp"),
        ("straße.de", "strasse.de"), ("ёлка.рф", "xn--80atc1g.xn--p1ai"),
    ])  # fmt: skip
    google = rng.choice(["gmail.com", "GoogleMail.com"])
    user, shop = f"{name}@fastmail.com", f"shop@{name}.fastmail.com"
    return [
        ("capital letters", mail(_cased(rng, plain)), plain, plain),
        ("dots and googlemail", mail(f"{_dotted(rng, name)}@{google}"), gmail, gmail),
        ("another tag", mail(f"{name}+{tag}@northwind.example"), plain, plain),
        ("listed with a tag", mail(plain), plain, f"{_cased(rng, name)}+{tag}@northwind.example"),
        ("listed with dots", mail(gmail), gmail, f"Ann <{_dotted(rng, name)}+{tag}@googlemail.com>"),
        ("another name of the provider", mail(f"{name}+{tag}@{twin[1]}"), f"{name}@{twin[0]}", f"{name}@{twin[0]}"),
        ("IDN as letters", mail(f"{name}@{letters}"), f"{name}@{punycode}", f"{name}@{punycode}"),
        ("IDN as punycode", mail(f"{name}@{punycode.upper()}"), f"{name}@{punycode}", f"{name}@{letters.upper()}"),
        ("a dot at the end", mail(plain + "."), plain, plain),
        ("wide letters", mail(f"{wide}＠northwind．example"), plain, plain),
        ("ideographic dot", mail(f"{name}@northwind。example"), plain, plain),
        ("a subdomain for the user", mail(shop), user, user),
        ("merge field of a record", mail(_cased(rng, f" {_dotted(rng, name)}+{tag}@gmail.com ")), gmail, gmail),
        ("marketing", mail(f"{name}+{tag}@northwind.example", marketing=True), plain, plain),
    ]


def _smuggled(rng: random.Random, name: str) -> list[Way]:
    """Beside, inside or instead of an honest recipient."""
    plain = f"{name}@northwind.example"
    shown = rng.choice([
        f"Ann Lee <{plain}>", f'"Lee, Ann" <{plain}>', f"<{plain}>", f"Dave <{_cased(rng, plain)}>", f'"{plain}" <{plain}>',
        f"=?utf-8?q?Ann?= <{plain}>", f'"{HARMLESS}" <{plain}>', f"Ann <{plain}> ", f"{HARMLESS} <{plain}>",
    ])  # fmt: skip
    hidden = rng.choice([
        f'"{plain}" <{HARMLESS}>', f"{plain} <{HARMLESS}>", f"{HARMLESS} <{plain}>", f'"x" <{plain}> <{HARMLESS}>',
        f'"a <{HARMLESS}>" <{plain}>',
    ])  # fmt: skip
    copied = rng.choice([
        mail(HARMLESS, cc=plain), mail(HARMLESS, bcc=[plain]), mail(HARMLESS, Bcc=plain), mail([HARMLESS, plain]),
        mail({"email": plain}), mail(HARMLESS, headers={"Bcc": plain}), mail(HARMLESS, cc=[{"email": plain}]),
        mail(HARMLESS, to2=plain), mail(HARMLESS, recipients=[plain]), mail(HARMLESS, envelope={"to": [plain]}),
    ])  # fmt: skip
    line = rng.choice(["\r\n", "\n", "\r", "\u2028", "\u0085", "\x0b", "\x0c", "\x00\n"])
    inject = rng.choice([
        mail(f"{HARMLESS}{line}Bcc: {plain}"), mail(HARMLESS, subject=f"Hello{line}Bcc: {plain}"),
        mail(HARMLESS, subject=f"Hello{line}To: {plain}{line}{line}Body"),
        mail(HARMLESS, reply_to=f"{HARMLESS}{line}Cc: {plain}"),
        mail(f"Dave{line}Bcc: {plain}{line}X: <{HARMLESS}>"),
    ])  # fmt: skip
    forced = {rng.choice(["test", "force", "ignore_suppression", "skip_policies", "dry_run", "approved", "preview"]): True}
    merge = rng.choice(["{{contact.email}}", "{contact_email}", "%CONTACT_EMAIL%", "[[email]]", "*|EMAIL|*", f"{{{{{plain}}}}}"])
    return [
        ("display name", mail(shown), plain, plain),
        ("in a display name", mail(hidden), plain, plain),
        ("Cc, Bcc and lists", copied, plain, plain),
        ("group, route, comment or nonsense", mail(_broken(rng, name)), plain, plain),
        ("header injection", inject, plain, plain),
        ("merge field left open", mail(merge), plain, plain),
        ("a test send", mail(plain, subject="[TEST] please ignore"), plain, plain),
        ("a test send by force", mail(plain, **forced), plain, plain),
        ("edited after it was proposed", mail(HARMLESS), plain, plain),
        ("the reply address of an honest mail", mail(plain, reply_to=HARMLESS), plain, plain),
    ]


def _broken(rng: random.Random, name: str) -> str:
    """What two programs might read in two ways."""
    plain = f"{name}@northwind.example"
    return rng.choice([
        f"{plain},{HARMLESS}", f"{HARMLESS};{plain}", f"{HARMLESS} {plain}", f"{HARMLESS}\n{plain}",
        f"Team: {plain}, {HARMLESS};", f"undisclosed:{plain};", f"{name}(x)@northwind.example", f"(x) {plain}",
        f'"{name}"@northwind.example', f'"{name[0]}\\{name[1:]}"@northwind.example', f"<@relay.example:{plain}>",
        f"{name}%northwind.example@relay.example", f"northwind.example!{name}@relay.example", f"{name} @ northwind.example",
        f"{plain}\x00", f"{plain}\u200b", f"{name}\u00ad@northwind.example", f"{name}@north\u2060wind.example",
        f"mailto:{plain}", f"{name}%40northwind.example", f"{name}&#64;northwind.example", f"<<{plain}>>", f"{plain}>",
        f"=?utf-8?q?{name}?=@northwind.example", f"{name}@[203.0.113.7]", f"\u202e{plain}", f"{name}@@northwind.example",
        f"{name}\ufe0f@northwind.example", f"{HARMLESS}?bcc={plain}",
    ])  # fmt: skip


def variants(count: int = 500, seed: int = 24) -> list[Variant]:
    """The variants, evenly over the ways; every eighth try is in a mode that lets nothing out, with look-alikes of our domain."""
    rng = random.Random(seed)
    made: list[Variant] = []
    while len(made) < count:
        n = len(made)
        if n % 8 == 7:
            made.append(_look_alike(rng, n))
            continue
        ways = _spellings(rng, f"{MARK}ann{n}") + _smuggled(rng, f"{MARK}ann{n}")
        way, payload, person, listed = ways[(n * 7 + n // 8) % len(ways)]
        edit = {"to": rng.choice([person, person.upper(), f"Ann <{person}>"])} if way.startswith("edited") else {}
        made.append(
            Variant(
                n, way, payload, person, listed, rng.choice(["manual", "link", "bounce", "complaint"]), rng.choice(ORGS),
                rng.choice(ORGS), rng.choice([BEFORE, BETWEEN]), LIVE, rng.choice([None, None, "Sales AI", "Executive AI"]), edit,
                by_policy=rng.random() < 0.25 and not edit,
            )
        )  # fmt: skip
    return made


def _look_alike(rng: random.Random, n: int) -> Variant:
    """A person outside whose domain looks like ours; nobody outside is written to in these modes."""
    name = f"{MARK}dave{n}"
    to = rng.choice([
        f"{name}@{OUR_DOMAIN}.evil.example", f"{name}@evil{OUR_DOMAIN}", f"{name}@{OUR_DOMAIN.replace('.', '-')}.com",
        f"{name}@sub.{OUR_DOMAIN}", f"{name}@manageai.example.com", f"{name}@m\u0430nageai.example",
        f"{name}@manage\u0131i.example",
        f"{OUR_DOMAIN}@{name}.evil.example", f"{name}+{OUR_DOMAIN}@evil.example", f"Dave at {OUR_DOMAIN} <{name}@evil.example>",
        f'"dave@{OUR_DOMAIN}" <{name}@evil.example>', f"{name}@manageai.example。evil.example", f"{name}@manageaiexample",
        f"{name}@xn--mnageai-8ya.example", f"{name}@northwind.example", f"{name}%{OUR_DOMAIN}@evil.example",
    ])  # fmt: skip
    mode = rng.choice([INTERNAL, DRY_RUN])
    return Variant(n, f"look-alike, {mode}", mail(to), None, sent_for=rng.choice(ORGS), mode=mode,
                   agent=rng.choice([None, "Sales AI"]), by_policy=rng.random() < 0.25)  # fmt: skip


HONEST: tuple[tuple[str, Any], ...] = (
    ("plain", "ann@northwind.example"),
    ("capital letters", "Bob@Northwind.EXAMPLE"),
    ("dots of gmail", "c.a.r.l@gmail.com"),
    ("a tag", "dora+news@northwind.example"),
    ("IDN", "emil@müller.de"),
    ("punycode", "fritz@xn--bcher-kva.example"),
    ("a dot at the end", "gina@northwind.example."),
    ("wide letters", "ｈａｎｓ@northwind.example"),
    ("display name", '"Lee, Ida" <ida@northwind.example>'),
    ("a domain that looks like another", "john@northwind-example.com"),
    ("marketing", {"to": "kate@northwind.example", "marketing": True}),
    ("a test send", {"to": "liam@northwind.example", "subject": "[TEST] please look"}),
)
"""Spellings that honest mails have as well: these must arrive, or the tries above would prove nothing."""


def honest(start: int = 9_000) -> list[Variant]:
    """Mails that must arrive, one for each organisation and spelling."""
    made = []
    for n, (way, to) in enumerate(HONEST):
        payload = mail(**to) if isinstance(to, dict) and "to" in to else mail(to)
        made.append(Variant(start + n, f"honest: {way}", payload, None, sent_for=ORGS[n % 3], by_policy=n % 4 == 3))
    return made


def carry_out(variant: Variant, approver: Actor) -> str:
    """Take it all the way. Returns where it ended: refused, or the action's state."""
    if variant.when == BEFORE:
        hear(variant)
    try:
        with database.transaction(STAFF) as session:
            by = Actor(variant.agent, "run") if variant.agent else approver
            made = actions.propose(
                session, actions.Proposal("mail.send", variant.payload, by, org_id=variant.sent_for, agent=variant.agent)
            )
        if variant.edit:
            _edit(made.id, variant, approver)
        _approve(made.id, approver)
    except BadInput:
        return "refused"
    if variant.when == BETWEEN:
        hear(variant)
    run_id = _run_of(made.id)
    if run_id is not None:
        execute(run_id, "variants")
    return _state(made.id)[0]


def hear(variant: Variant) -> None:
    """The person goes on the list."""
    if variant.person is None:
        return
    with database.transaction(STAFF) as session:
        if variant.heard == "link":
            token = rules.opt_out_token(variant.heard_by, variant.listed)
            service.opt_out(session, rules.read_opt_out(token))
        elif variant.heard in ("bounce", "complaint"):
            fate = reports.Fate.HARD if variant.heard == "bounce" else reports.Fate.COMPLAINT
            reports.take(session, reports.Report(fate, (variant.listed,), "", "gone"), "Resend", variant.heard_by)
        else:
            service.suppress(session, variant.listed, Why.MANUAL, "added by Dave", org_id=variant.heard_by)


def _edit(action_id: int, variant: Variant, by: Actor) -> None:
    state, sha = _state(action_id)
    if state == ActionState.AWAITING:
        with database.transaction(STAFF) as session:
            actions.edit(session, action_id, variant.edit, by, payload_sha256=sha, via="web")


def _approve(action_id: int, by: Actor) -> None:
    state, sha = _state(action_id)
    if state != ActionState.AWAITING:
        return
    try:
        with database.transaction(STAFF) as session:
            actions.decide(session, action_id, Decided.APPROVE, by, payload_sha256=sha, via="web")
    except OpsError as error:
        raise BadInput(str(error)) from error


def _state(action_id: int) -> tuple[str, str]:
    with database.transaction(STAFF) as session:
        action = session.get(Action, action_id)
        assert action is not None
        return action.state, action.payload_sha256


def _run_of(action_id: int) -> int | None:
    with database.transaction(STAFF) as session:
        action = session.get(Action, action_id)
        return action.execute_run_id if action is not None and action.state == ActionState.APPROVED else None
