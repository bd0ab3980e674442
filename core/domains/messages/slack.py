"""Slack messages as actions: rendered to the bytes of chat.postMessage, posted, found by their key, deleted."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from core.domains.messages import render
from core.domains.messages.schemas import Block, Button, SlackDelete, SlackPost
from core.errors import BadInput
from core.integrations.slack.client import EVENT_TYPE, Message, Slack
from core.integrations.slack.errors import SlackRefused
from core.kit import clock
from core.runtime.actions.answers import told_by_vendor
from core.runtime.actions.kinds import Account, Outgoing, Receipt, Rendered, Rendering
from core.runtime.actions.models import Audience

MAX_CHARS: Final = 40_000
"""Slack cuts a longer text off."""
MAX_BLOCK_CHARS: Final = 3_000
LOOK_BACK: Final = timedelta(seconds=60)
"""Slack's clock is not ours."""


def as_bytes(data: Mapping[str, Any]) -> bytes:
    """JSON as it goes over the wire: the same data give the same bytes."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()


def render_post(asked: SlackPost, on: Rendering) -> Rendered:
    """The body of chat.postMessage. It counts as internal, but whoever shares the channel reads it, and a channel shared with
    another company can't be told from one that is not before it is posted."""
    text = render.slack_text(asked.text)
    if len(text) > MAX_CHARS:
        raise BadInput("The message is too long for Slack.", "Shorten it, or send it as mail.")
    body: dict[str, Any] = {"channel": asked.channel, "text": text}
    if asked.blocks:
        body["blocks"] = [_block(b) for b in asked.blocks]
    body |= {
        "mrkdwn": True, "parse": "none", "link_names": False, "unfurl_links": False, "unfurl_media": False,
        "metadata": {"event_type": EVENT_TYPE, "event_payload": {"key": str(on.effect_key)}},
    }  # fmt: skip
    where = asked.channel if asked.channel.startswith("#") else "Slack"
    return Rendered(
        as_bytes(body), f"Post to {where}: {render.first_line(asked.text)}", f"{asked.channel} on Slack", Audience.INTERNAL
    )


def _block(block: Block) -> dict[str, Any]:
    if block.type == "divider":
        return {"type": "divider"}
    if block.type == "buttons":
        if not block.buttons:
            raise BadInput("A row of buttons has none.", "Leave it out.")
        return {"type": "actions", "elements": [_button(b, n) for n, b in enumerate(block.buttons)]}
    if not block.text.strip():
        raise BadInput("A part of the Slack message has no text.", "Leave it out.")
    if block.type == "header":
        plain = render.first_line(block.text, 150)
        return {"type": "header", "text": {"type": "plain_text", "text": plain, "emoji": False}}
    text = render.slack_text(block.text)
    if len(text) > MAX_BLOCK_CHARS:
        raise BadInput("A part of the Slack message is too long.", "Split it into several.")
    # verbatim: Slack turns no name and no address in it into a mention or a link
    return {"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}}


def _button(button: Button, number: int) -> dict[str, Any]:
    if (button.url is None) == (button.action is None):
        raise BadInput("A button either opens an address or is reported back.", "Give it one of the two.")
    made: dict[str, Any] = {"type": "button", "text": {"type": "plain_text", "text": button.label, "emoji": False}}
    made["action_id"] = button.action or f"open_{number}"
    if button.url is not None:
        made["url"] = button.url
    if button.value is not None:
        made["value"] = button.value
    if button.style is not None:
        made["style"] = button.style
    return made


def post(out: Outgoing, account: Account) -> Receipt:
    """Send exactly `out.wire`."""
    slack = Slack(account.secret)
    with told_by_vendor():
        return _receipt(slack, slack.post(out.wire))


def find_post(out: Outgoing, account: Account) -> Receipt | None:
    """The message with the effect's key in its channel; None when there is none since it was first sent."""
    asked = json.loads(out.wire)
    since = (out.first_sent_at or clock.now()) - LOOK_BACK
    slack = Slack(account.secret)
    with told_by_vendor():
        found = slack.find(asked["channel"], str(out.effect_key), since)
    return _receipt(slack, found) if found else None


def _receipt(slack: Slack, message: Message) -> Receipt:
    data = {"channel": message.channel, "ts": message.ts}
    return Receipt(f"{message.channel}/{message.ts}", slack.permalink(message), data)


def undo_post(payload: Mapping[str, Any], receipt: Receipt) -> dict[str, Any]:
    """The payload that takes the message back."""
    shown = render.first_line(str(payload.get("text", "")), 150)
    return {**receipt.data, "shown": str(payload.get("channel", "")), "text": shown}


def render_delete(asked: SlackDelete, on: Rendering) -> Rendered:
    """The body of chat.delete."""
    where = asked.shown or asked.channel
    title = f"Take back from {where}: {asked.text or 'a message'}"
    wire = as_bytes({"channel": asked.channel, "ts": asked.ts})
    return Rendered(wire, title, f"{where} on Slack", Audience.INTERNAL)


def delete(out: Outgoing, account: Account) -> Receipt:
    """Send exactly `out.wire`. A message that is gone already is as it should be."""
    asked = json.loads(out.wire)
    slack = Slack(account.secret)
    with told_by_vendor():
        try:
            slack.delete(out.wire)
        except SlackRefused as error:
            if error.code != "message_not_found":
                raise
            return _deleted(asked, found=False)
    return _deleted(asked, found=True)


def find_delete(out: Outgoing, account: Account) -> Receipt | None:
    """A receipt when the message is no longer there; None while it is."""
    asked = json.loads(out.wire)
    with told_by_vendor():
        there = Slack(account.secret).exists(Message(asked["channel"], asked["ts"]))
    return None if there else _deleted(asked, found=False)


def _deleted(asked: Mapping[str, Any], *, found: bool) -> Receipt:
    return Receipt(f"{asked['channel']}/{asked['ts']}", None, {"channel": asked["channel"], "ts": asked["ts"], "found": found})
