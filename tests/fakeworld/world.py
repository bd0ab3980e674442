"""The whole world outside on one loopback server: Slack, Resend, Pipedrive and the model, and a mail server beside it."""

import contextlib
import json
import threading
import time
from pathlib import Path
from typing import Any

from tests.fakeworld import pipedrive
from tests.fakeworld.anthropic import FakeAnthropic
from tests.fakeworld.log import CallLog
from tests.fakeworld.log import applied as _applied
from tests.fakeworld.modes import NOT_APPLIED, Modes
from tests.fakeworld.pipedrive_writes import FakePipedriveAccount
from tests.fakeworld.resend import FakeResend
from tests.fakeworld.server import Exchange
from tests.fakeworld.server import World as Server
from tests.fakeworld.slack import FakeSlack
from tests.fakeworld.smtp import FakeSmtp
from tests.fakeworld.vendor import Reply, Vendor

HUGE = 16_000_000
HANG_S = 60.0


class World:
    """`log` is the durable log's file (None: memory only). Modes: see `tests.fakeworld.modes`; endpoints: "slack.chat.delete",
    "resend.emails", "pipedrive.deals.create", "smtp.data" …"""

    def __init__(self, log: Path | None = None, port: int = 0, smtp_port: int = 0) -> None:
        self.log = CallLog(log)
        self.modes = Modes()
        self.closing = threading.Event()
        self.inside_hits = 0
        self.server = Server(port=port)
        self.slack, self.resend = FakeSlack(), FakeResend()
        self.pipedrive = FakePipedriveAccount(pipedrive.world(serve=False))
        self.anthropic = FakeAnthropic(self.server)
        self._one_at_a_time = threading.Lock()
        for vendor in (self.slack, self.resend, self.pipedrive):
            self.server.mounts[f"/{vendor.name}"] = self._serving(vendor)
        self.server.mounts["/_inside"] = self._inside
        self.server.mounts["/_control"] = self._control
        self.smtp = FakeSmtp(self, smtp_port)

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def slack_url(self) -> str:
        """Base URL as `OPS_SLACK_BASE_URL` takes it."""
        return f"{self.url}/slack/api"

    @property
    def resend_url(self) -> str:
        return f"{self.url}/resend"

    @property
    def pipedrive_url(self) -> str:
        return f"{self.url}/pipedrive"

    @property
    def environment(self) -> dict[str, str]:
        """Settings that point the product at this world; keys are separate."""
        return {
            "OPS_SLACK_BASE_URL": self.slack_url, "OPS_RESEND_BASE_URL": self.resend_url,
            "OPS_PIPEDRIVE_BASE_URL": self.pipedrive_url, "ANTHROPIC_BASE_URL": self.url,
        }  # fmt: skip

    @property
    def keys(self) -> dict[str, str]:
        """The keys this world accepts, as the environment names them."""
        return {
            "SLACK_BOT_TOKEN": self.slack.token, "RESEND_API_KEY": self.resend.key, "PIPEDRIVE_API_TOKEN": self.pipedrive.token,
            "ANTHROPIC_API_KEY": self.anthropic.key, "SMTP_URL": self.smtp.url, "MAIL_FROM": "ManageAI <ops@manageai.example>",
        }  # fmt: skip

    @property
    def calls(self) -> list[dict[str, Any]]:
        """Everything that reached a vendor, in order."""
        return list(self.log.calls)

    def called(self, endpoint: str) -> list[dict[str, Any]]:
        """The calls of one endpoint."""
        return [c for c in self.calls if c["endpoint"] == endpoint]

    def applied(self, endpoint: str | None = None) -> list[dict[str, Any]]:
        """The calls that did something."""
        return _applied(self.calls, endpoint)

    def mode(self, endpoint: str, mode: str, calls: Any = None, *, share: float | None = None, seed: int = 0) -> None:
        """How an endpoint behaves from now on; see `Modes.set`."""
        self.modes.set(endpoint, mode, calls, share=share, seed=seed)

    def close(self) -> None:
        self.closing.set()
        self.smtp.close()
        self.server.close()
        self.log.close()

    # ---- serving

    def _serving(self, vendor: Vendor) -> Any:
        def serve(exchange: Exchange) -> None:
            at = time.time()
            seen = exchange.seen
            path = seen.path.removeprefix(f"/{vendor.name}")
            endpoint = vendor.endpoint(seen.method, path)
            if endpoint is None:
                exchange.send_json(404, {"error": "no such route", "success": False, "ok": False})
                return
            name = f"{vendor.name}.{endpoint}"
            mode = self.modes.next(name)
            word, _, value = mode.partition(":")
            if word == "slow" and exchange.pause(float(value)):
                return
            with self._one_at_a_time:
                reply = _refusal(vendor, endpoint, word, value) or vendor.handle(endpoint, path, seen)
                about = vendor.about(endpoint, path, seen)
                self.log.add(
                    vendor=vendor.name, endpoint=name, mode=mode, at=at,
                    # a call without a body is told by its request line
                    body=seen.body or f"{seen.method} {path}".encode(), key=about.key,
                    recipients=list(about.recipients), applied=reply.applied, status=reply.status,
                )  # fmt: skip
            self._answer(exchange, word, reply)

        return serve

    def _answer(self, exchange: Exchange, word: str, reply: Reply) -> None:
        if word == "hang":
            exchange.pause(HANG_S)
        if word in ("hang", "apply_then_drop", "drop_before"):
            exchange.cut()
        elif word == "apply_then_500":
            exchange.send(500, b"<html>Internal Server Error</html>", "text/html")
        elif word == "malformed":
            exchange.send(200, b"<html>Welcome to the proxy</html>", "text/html")
        elif word == "huge":
            exchange.start_chunks("application/json")
            for _ in range(HUGE // 64_000):
                exchange.chunk(b" " * 64_000)
            exchange.chunk(json.dumps(reply.body).encode())  # a right answer, for whoever reads that far
            exchange.end_chunks()
        elif word == "trickle":
            exchange.start_chunks("application/json")
            for _ in range(int(HANG_S / 0.05)):
                exchange.chunk(b" ")
                if exchange.pause(0.05):
                    return
        elif word == "redirect_internal":
            target = {"location": f"{self.url}/_inside/metadata"}
            exchange.send(reply.status, b"", headers=target)
        else:
            exchange.send_json(reply.status, reply.body, reply.headers)

    def _inside(self, exchange: Exchange) -> None:
        """A place nothing may be led to by a redirect."""
        self.inside_hits += 1
        exchange.send_json(200, {"ok": True, "id": "inside", "success": True})

    def _control(self, exchange: Exchange) -> None:
        """POST {"endpoint", "mode", "calls", "share", "seed"}, {"reset": true}, {"advance_s": 90000} or {"channel": "name"}."""
        asked = exchange.seen.json if exchange.seen.body else {}
        if asked.get("reset"):
            self.modes.reset()
        if "mode" in asked:
            self.mode(asked["endpoint"], asked["mode"], asked.get("calls"), share=asked.get("share"), seed=asked.get("seed", 0))
        if "advance_s" in asked:
            self.resend.advance(float(asked["advance_s"]))
        if "channel" in asked:
            self.slack.add_channel(asked["channel"])
        exchange.send_json(200, {"calls": len(self.log.calls), "applied": len(self.applied()), "inside_hits": self.inside_hits})


def _refusal(vendor: Vendor, endpoint: str, word: str, value: str) -> Reply | None:
    """What a mode that applies nothing answers."""
    if word not in NOT_APPLIED:
        return None
    if word == "429":
        return vendor.limited(value or None)
    if word == "529":
        return Reply(529, {"error": "overloaded"})
    if word == "redirect_internal":
        return Reply(int(value or 307), None)
    with contextlib.suppress(ValueError):
        return vendor.refuse(endpoint, int(value))
    return vendor.refuse(endpoint, None)
