"""Vendors that send us something: signed as Slack and Resend sign, with secrets entered as a person enters them."""

import base64
import json
import time
from urllib.parse import urlencode

from standardwebhooks import Webhook

from core.integrations.slack import verify as slack
from core.kit import db as database
from core.kit.actor import Actor
from core.kit.db import STAFF
from core.runtime.actions import service
from core.runtime.actions.models import Action
from core.runtime.connections import service as accounts
from core.runtime.notifications import blocks
from core.runtime.orgs.models import AGENCY_ID
from core.runtime.policies import settings
from tests.cast import make_cast

SLACK_SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
OLD_SLACK_SECRET = "0123456789abcdef0123456789abcdef"
MAIL_SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes, ok").decode()
OLD_MAIL_SECRET = "whsec_" + base64.b64encode(b"the secret before it, 32 letters").decode()
SLACK_IDS = {"Dave": "U0DAVE001", "Brian": "U0BRIAN01", "Tony": "U0TONY001"}


def people():
    """The cast, with Slack accounts for Dave, Brian and Tony."""
    from core.domains.users import service as users

    with database.transaction(STAFF) as session:
        cast = make_cast(session)
        for name, slack_id in SLACK_IDS.items():
            users.set_slack(session, cast.users[name], slack_id)
    return cast


def enter(vendor, secret, org_id=AGENCY_ID, config=None):
    """Enter a connection."""
    with database.transaction(STAFF) as session:
        return accounts.save(session, vendor, "main", config or {}, secret, Actor("Dave"), org_id)


def policy(cast, key, org_id=AGENCY_ID, **numbers):
    """Change a policy's numbers."""
    with database.transaction(STAFF) as session:
        version = settings.setting(session, key, org_id).version
        return settings.change(session, key, numbers, cast.actor("Dave"), version, org_id)


def ask(cast, by="Tony", text="The week in numbers.", **more):
    """A Slack post that waits for a person, as (id, binding)."""
    with database.transaction(STAFF) as session:
        made = service.propose(
            session, service.Proposal("slack.post", {"channel": "#sales", "text": text}, cast.actor(by), **more)
        )
        assert made.state == "awaiting_approval", made.reason
        return made.id, session.get(Action, made.id).payload_sha256


def always_ask(cast):
    """Slack posts need a person from now on."""
    policy(cast, "approval_kinds", kinds=["slack.post"])


# ---- Slack


def click(who, action_id, sha, decision=blocks.APPROVE, *, answer_to="", value=None, **more):
    """The form that Slack posts when somebody clicks."""
    said = {
        "type": "block_actions",
        "user": {"id": SLACK_IDS.get(who, who), "username": who.lower()},
        "team": {"id": "T0MANAGEAI0"},
        "response_url": answer_to,
        "trigger_id": f"{time.time_ns()}",
        "actions": [
            {
                "type": "button",
                "action_id": decision,
                "value": value if value is not None else json.dumps({"action": action_id, "sha256": sha}),
            }
        ],
    } | more
    return urlencode({"payload": json.dumps(said)}).encode()


def slack_headers(body, secret=SLACK_SECRET, at=None):
    """Headers as Slack signs them; `at` in seconds."""
    stamp = str(int(time.time() if at is None else at))
    return {
        "x-slack-request-timestamp": stamp,
        "x-slack-signature": slack.sign(body, stamp, secret),
        "content-type": "application/x-www-form-urlencoded",
    }


def press(client, body, **how):
    """Post a signed click."""
    return client.post("/slack/interactive", content=body, headers=slack_headers(body, **how))


# ---- Resend


def report(kind="email.bounced", to="ann@northwind.example", ref="re-1", bounce="Permanent", said="The mailbox does not exist."):
    """A report as Resend words it."""
    data = {"email_id": ref, "from": "ops@manageai.example", "to": [to] if isinstance(to, str) else to, "subject": "Hello"}
    if kind == "email.bounced":
        data["bounce"] = {"type": bounce, "subType": "General", "message": said}
    return json.dumps({"type": kind, "created_at": "2026-11-21T08:00:00.000Z", "data": data}).encode()


def mail_headers(body, secret=MAIL_SECRET, at=None, message="msg_1", prefix="svix"):
    """Headers as Resend signs them; `at` in seconds."""
    from datetime import UTC, datetime

    stamp = int(time.time() if at is None else at)
    signature = Webhook(secret).sign(message, datetime.fromtimestamp(stamp, UTC), body.decode())
    return {
        f"{prefix}-id": message,
        f"{prefix}-timestamp": str(stamp),
        f"{prefix}-signature": signature,
        "content-type": "application/json",
    }


def deliver(client, body, path="/webhooks/resend", **how):
    """Post a signed report."""
    return client.post(path, content=body, headers=mail_headers(body, **how))
