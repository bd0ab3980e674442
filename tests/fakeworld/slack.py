"""Plays Slack's Web API: HTTP 200 with {"ok": false, "error": …} for a refusal, no idempotency whatsoever."""

import time
from typing import Any

from tests.fakeworld.server import Seen
from tests.fakeworld.vendor import About, Reply, json_of

TOKEN = "xoxb-test-0123456789-never-log-me"
CHANNELS = ("general", "leadership", "sales", "delivery", "builds", "engineering", "marketing", "ops")
METHODS = frozenset(
    {
        "chat.postMessage", "chat.delete", "chat.getPermalink", "conversations.history", "conversations.list",
        "conversations.open", "auth.test", "users.info", "users.lookupByEmail",
    }
)  # fmt: skip
MAX_TEXT = 40_000


def _no(error: str, **more: Any) -> Reply:
    return Reply(200, {"ok": False, "error": error, **more})


class FakeSlack:
    """One workspace. `messages` by channel id, oldest first. `page_size` caps what history gives at once."""

    name = "slack"

    def __init__(self) -> None:
        self.token = TOKEN
        self.channels: dict[str, str] = {}
        self.messages: dict[str, list[dict[str, Any]]] = {}
        self.users = {"U0TONY00001": {"id": "U0TONY00001", "name": "tony", "profile": {"email": "tony@manageai.example"}}}
        self.page_size = 100
        self.missing_scopes: set[str] = set()
        self._last_ts = 0.0
        for name in CHANNELS:
            self.add_channel(name)

    def add_channel(self, name: str) -> str:
        """Id of a channel made now."""
        made = f"C{len(self.channels):03d}{name.upper()[:7]:0<7}"
        self.channels[made], self.messages[made] = name, []
        return made

    def channel_id(self, asked: str) -> str | None:
        """By id, or by name with or without its #."""
        if asked in self.channels:
            return asked
        if asked in self.users:
            return self._talk(asked)
        return next((i for i, name in self.channels.items() if name == asked.removeprefix("#")), None)

    def endpoint(self, method: str, path: str) -> str | None:
        name = path.removeprefix("/api/")
        return name if name in METHODS else None

    def about(self, endpoint: str, path: str, seen: Seen) -> About:
        body = json_of(seen)
        if endpoint == "chat.delete":
            return About(f"{body.get('channel')}/{body.get('ts')}", (str(body.get("channel")),))
        if endpoint == "chat.postMessage":
            payload = (body.get("metadata") or {}).get("event_payload") or {}
            return About(payload.get("key"), (str(body.get("channel")),))
        return About()

    def refuse(self, endpoint: str, status: int | None) -> Reply:
        return _no("is_archived") if status is None else Reply(status, {"ok": False, "error": "internal_error"})

    def limited(self, retry_after: str | None) -> Reply:
        headers = {} if retry_after is None else {"Retry-After": retry_after}
        return Reply(429, {"ok": False, "error": "ratelimited"}, headers=headers)

    def handle(self, endpoint: str, path: str, seen: Seen) -> Reply:
        if seen.headers.get("authorization") != f"Bearer {self.token}":
            return _no("invalid_auth" if seen.headers.get("authorization") else "not_authed")
        if endpoint in self.missing_scopes:
            return _no("missing_scope", needed="channels:history", provided="chat:write")
        asked = {**json_of(seen), **seen.query}
        handlers = {
            "chat.postMessage": self._post, "chat.delete": self._delete, "chat.getPermalink": self._permalink,
            "conversations.history": self._history, "conversations.list": self._list,
            "conversations.open": self._open, "auth.test": self._who, "users.info": self._user,
            "users.lookupByEmail": self._by_email,
        }  # fmt: skip
        return handlers[endpoint](asked)

    def _ts(self) -> str:
        self._last_ts = max(time.time(), self._last_ts + 0.000_001)
        return f"{self._last_ts:.6f}"

    def _post(self, asked: dict[str, Any]) -> Reply:
        channel = self.channel_id(str(asked.get("channel", "")))
        if channel is None:
            return _no("channel_not_found")
        if not asked.get("text") and not asked.get("blocks"):
            return _no("no_text")
        if len(asked.get("text") or "") > MAX_TEXT:
            return _no("msg_too_long")
        metadata = asked.get("metadata")
        if metadata is not None and not (isinstance(metadata.get("event_type"), str) and "event_payload" in metadata):
            return _no("invalid_metadata_format")
        ts = self._ts()
        message = {"type": "message", "ts": ts, "text": asked.get("text", ""), "bot_id": "B0OPS000001", "user": "U0OPS000001"}
        self.messages[channel].append(message | ({"metadata": metadata} if metadata else {}))
        return Reply(200, {"ok": True, "channel": channel, "ts": ts, "message": message}, applied=True)

    def _delete(self, asked: dict[str, Any]) -> Reply:
        channel = asked.get("channel")
        if channel not in self.channels:
            return _no("channel_not_found")
        found = [m for m in self.messages[channel] if m["ts"] == asked.get("ts")]
        if not found:
            return _no("message_not_found")
        self.messages[channel].remove(found[0])
        return Reply(200, {"ok": True, "channel": channel, "ts": asked["ts"]}, applied=True)

    def _permalink(self, asked: dict[str, Any]) -> Reply:
        channel, ts = asked.get("channel"), str(asked.get("message_ts"))
        if not any(m["ts"] == ts for m in self.messages.get(str(channel), ())):
            return _no("message_not_found")
        link = f"https://manageai.slack.com/archives/{channel}/p{ts.replace('.', '')}"
        return Reply(200, {"ok": True, "channel": channel, "permalink": link})

    def _history(self, asked: dict[str, Any]) -> Reply:
        channel = asked.get("channel")
        if channel not in self.channels:  # an id, never a name
            return _no("channel_not_found")
        oldest, latest = float(asked.get("oldest", 0)), float(asked.get("latest", "inf"))
        found = [m for m in reversed(self.messages[channel]) if oldest < float(m["ts"]) < latest]
        if asked.get("inclusive") in (True, "true", "1"):
            found = [m for m in reversed(self.messages[channel]) if oldest <= float(m["ts"]) <= latest]
        start = int(asked.get("cursor") or 0)
        end = start + min(self.page_size, int(asked.get("limit", 100)))
        page = found[start:end]
        if asked.get("include_all_metadata") not in (True, "true", "1"):
            page = [{k: v for k, v in m.items() if k != "metadata"} for m in page]
        more = end < len(found)
        told = {"ok": True, "messages": page, "has_more": more, "response_metadata": {"next_cursor": str(end) if more else ""}}
        return Reply(200, told)

    def _list(self, _asked: dict[str, Any]) -> Reply:
        channels = [{"id": i, "name": n, "is_channel": True, "is_archived": False} for i, n in self.channels.items()]
        return Reply(200, {"ok": True, "channels": channels, "response_metadata": {"next_cursor": ""}})

    def _talk(self, user: str) -> str:
        """The direct channel with a member."""
        made = "D" + user[1:]
        self.channels.setdefault(made, f"talk with {user}")
        self.messages.setdefault(made, [])
        return made

    def _open(self, asked: dict[str, Any]) -> Reply:
        user = str(asked.get("users"))
        return Reply(200, {"ok": True, "channel": {"id": self._talk(user)}}) if user in self.users else _no("user_not_found")

    def _who(self, _asked: dict[str, Any]) -> Reply:
        told = {
            "ok": True, "url": "https://manageai.slack.com/", "team": "ManageAI", "user": "ops", "team_id": "T0MANAGEAI0",
            "user_id": "U0OPS000001", "bot_id": "B0OPS000001",
        }  # fmt: skip
        return Reply(200, told)

    def _user(self, asked: dict[str, Any]) -> Reply:
        user = self.users.get(str(asked.get("user")))
        return Reply(200, {"ok": True, "user": user}) if user else _no("user_not_found")

    def _by_email(self, asked: dict[str, Any]) -> Reply:
        user = next((u for u in self.users.values() if u["profile"]["email"] == asked.get("email")), None)
        return Reply(200, {"ok": True, "user": user}) if user else _no("users_not_found")
