"""Posting to Slack, finding what was posted by its key, deleting it. A second post is a second message: nothing is idempotent."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from json import dumps
from typing import Any, Final

from core.config import get_settings
from core.integrations.slack.errors import SlackRefused, of
from core.kit.http import Answer, Caller, NoAnswer, NotApplied

EVENT_TYPE: Final = "ops_action"
"""`metadata.event_type` of our messages; the key stands in `event_payload.key`."""
MAX_PAGES: Final = 40
_JSON: Final = {"content-type": "application/json; charset=utf-8"}


@dataclass(frozen=True, slots=True)
class Message:
    """A message as Slack knows it. `channel` is Slack's id of it, `ts` its id in there."""

    channel: str
    ts: str


class Slack:
    """One workspace, with a bot's token."""

    def __init__(self, token: str, base_url: str | None = None) -> None:
        headers = {"authorization": f"Bearer {token.strip()}"}
        self._http = Caller("Slack", base_url or get_settings().slack_base_url, headers, setting="OPS_SLACK_BASE_URL")

    def post(self, body: bytes) -> Message:
        """chat.postMessage with exactly these bytes (JSON). Raises NotApplied or NoAnswer."""
        told = _told(self._http.write("POST", "/chat.postMessage", body, _JSON))
        if not (isinstance(told.get("channel"), str) and isinstance(told.get("ts"), str)):
            raise NoAnswer("Slack answered something we can't read.", "It is looked into again.", status=200)
        return Message(told["channel"], told["ts"])

    def delete(self, body: bytes) -> None:
        """chat.delete with exactly these bytes ({"channel", "ts"}). Raises SlackRefused("message_not_found") when it is gone."""
        _told(self._http.write("POST", "/chat.delete", body, _JSON))

    def permalink(self, message: Message) -> str | None:
        """The message's address for people; None when Slack does not tell it. Never raises: the message is posted by now."""
        try:
            told = _told(self._http.read("/chat.getPermalink", {"channel": message.channel, "message_ts": message.ts}, tries=1))
        except (NotApplied, NoAnswer):
            return None
        link = told.get("permalink")
        return link if isinstance(link, str) and link.startswith("https://") else None

    def find(self, channel: str, key: str, since: datetime) -> Message | None:
        """Our message with this key, posted after `since`; None when the channel certainly has none.

        Raises SlackRefused or NoAnswer when that can't be known: the channel is gone, or the app may not read it.
        """
        where = self.channel_id(channel)
        for message in self._history(where, since):
            metadata = message.get("metadata") or {}
            payload = metadata.get("event_payload") or {}
            if metadata.get("event_type") == EVENT_TYPE and payload.get("key") == key:
                return Message(where, str(message["ts"]))
        return None

    def exists(self, message: Message) -> bool:
        """Whether the message is still in its channel. Raises as `find`."""
        told = self._get("conversations.history", channel=message.channel, oldest=message.ts, inclusive="true", limit="1",
                         latest=message.ts)  # fmt: skip
        return any(m.get("ts") == message.ts for m in _messages(told))

    def channel_id(self, channel: str) -> str:
        """Slack's id of a channel given by name or id, or of the talk with a member. Raises SlackRefused("channel_not_found")."""
        name = channel.removeprefix("#")
        if not channel.startswith("#") and name.isalnum() and name.isupper():
            if name[0] == "U":  # opening it again changes nothing
                opened = _told(self._http.write("POST", "/conversations.open", dumps({"users": name}).encode(), _JSON))
                return str((opened.get("channel") or {}).get("id"))
            return name
        cursor = ""
        for _ in range(MAX_PAGES):
            more = {"cursor": cursor} if cursor else {}
            told = self._get("conversations.list", types="public_channel,private_channel", limit="1000", **more)
            for one in told.get("channels") or ():
                if one.get("name") == name or one.get("name_normalized") == name:
                    return str(one["id"])
            cursor = str((told.get("response_metadata") or {}).get("next_cursor") or "")
            if not cursor:
                break
        raise SlackRefused("channel_not_found")

    def who(self) -> dict[str, str]:
        """auth.test: {"team", "user", "url", "team_id", "user_id"}."""
        told = self._get("auth.test")
        return {k: str(told.get(k, "")) for k in ("team", "user", "url", "team_id", "user_id")}

    def _history(self, channel: str, since: datetime) -> Iterator[dict[str, Any]]:
        cursor = ""
        for _ in range(MAX_PAGES):
            more = {"cursor": cursor} if cursor else {}
            told = self._get(
                "conversations.history", channel=channel, oldest=f"{since.timestamp():.6f}", limit="100",
                include_all_metadata="true", **more,
            )  # fmt: skip
            yield from _messages(told)
            cursor = str((told.get("response_metadata") or {}).get("next_cursor") or "")
            if not told.get("has_more"):
                return
            if not cursor:
                break
        raise NoAnswer("That channel has too many newer messages to look through.", "Look for the message in Slack.")

    def _get(self, method: str, **params: str) -> dict[str, Any]:
        return _told(self._http.read(f"/{method}", params))


def _messages(told: dict[str, Any]) -> list[dict[str, Any]]:
    messages = told.get("messages")
    if not isinstance(messages, list) or not all(isinstance(m, dict) for m in messages):
        raise NoAnswer("Slack answered something we can't read.", "It is looked into again.", status=200)
    return messages


def _told(answer: Answer) -> dict[str, Any]:
    told = answer.json()
    if told is None or not isinstance(told.get("ok"), bool):
        raise NoAnswer("Slack answered something we can't read.", "It is looked into again.", status=answer.status)
    if not told["ok"]:
        raise of(str(told.get("error", "")), answer.status)
    return told
