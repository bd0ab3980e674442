"""Mail as actions: rendered to the body of Resend's POST /emails, from which the MIME message for SMTP is made too."""

import json
from email.utils import parseaddr
from typing import Any, Final
from uuid import UUID

from sqlalchemy.orm import Session

from core.domains.messages import render
from core.domains.messages.schemas import MailSend
from core.domains.messages.slack import as_bytes
from core.integrations.resend.client import Resend
from core.integrations.smtp import check as smtp
from core.integrations.smtp.message import mime
from core.kit import clock
from core.runtime.actions.answers import told_by_vendor
from core.runtime.actions.kinds import Account, Outgoing, Receipt, Rendered, Rendering
from core.runtime.actions.models import Audience
from core.runtime.contacts import rules
from core.runtime.contacts.staff import staff_keys

RESEND: Final = "resend"
NO_SENDER: Final = "no-sender@invalid"
"""Stands in for the sender while no mail account is connected: such a mail is never sent."""


def render_mail(asked: MailSend, on: Rendering) -> Rendered:
    """The body of POST /emails. Every mail to somebody outside can be opted out of with one click (RFC 8058)."""
    to = rules.parse(asked.to)
    audience = _audience(on.session, on.org_id, to)
    sender = str(on.account.config.get("from") or "") if on.account else ""
    headers = {"Message-ID": f"<{on.effect_key}@{_domain(sender)}>"}
    footer = ""
    if audience is Audience.OUTSIDE:
        url = rules.opt_out_url(on.org_id, to.person)
        headers |= {"List-Unsubscribe": f"<{url}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
        footer = f"To get no more messages like this one: {url}" if asked.marketing else ""
    body: dict[str, Any] = {
        "from": sender or NO_SENDER, "to": [to.email], "subject": render.clean(asked.subject),
        "text": render.mail_text(asked.text, footer),
    }  # fmt: skip
    if asked.html:
        body["html"] = render.mail_html(asked.text, footer)
    if asked.reply_to:
        body["reply_to"] = rules.parse(asked.reply_to).email
    body |= {"headers": headers, "tags": [{"name": "ops_effect", "value": str(on.effect_key)}]}
    return Rendered(
        as_bytes(body), f"Mail to {to.email}: {asked.subject}", to.email, audience,
        recipients=(to.person,), marketing=asked.marketing,
    )  # fmt: skip


def _audience(session: Session, org_id: UUID, to: rules.Address) -> Audience:
    """Inside is who has an account here, or whose domain is exactly one of ours: no part of it, and nothing around it."""
    from core.runtime.policies import settings

    ours = {str(d).strip().lower().lstrip("@") for d in settings.values(session, org_id, "send_mode")["our_domains"]}
    inside = to.person in staff_keys(session) or to.email.rpartition("@")[2] in ours
    return Audience.INTERNAL if inside else Audience.OUTSIDE


def _domain(sender: str) -> str:
    return parseaddr(sender)[1].rpartition("@")[2].lower() or "invalid"


def send(out: Outgoing, account: Account) -> Receipt:
    """Send exactly `out.wire`, through Resend or as a MIME message made from it."""
    with told_by_vendor():
        if account.vendor == RESEND:
            made = Resend(account.secret).send(out.wire, str(out.effect_key))
            return Receipt(made, f"https://resend.com/emails/{made}", {"id": made})
        mail = mime(out.wire, clock.now())
        said = smtp.server(account.config, account.secret).send(mail)
    message_id = json.loads(out.wire)["headers"]["Message-ID"]
    return Receipt(message_id, None, {"message_id": message_id, "said": said})
