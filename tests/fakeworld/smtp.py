"""Plays a mail server on its own port: takes mail from anybody who signs in, and breaks where it is told to.

Endpoints for modes: smtp.rcpt (a recipient is named) and smtp.data (the message is sent).
"""

import asyncio
import email
import email.policy
import logging
import time
from typing import TYPE_CHECKING, Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

if TYPE_CHECKING:
    from tests.fakeworld.world import World

USER, PASSWORD = "ops", "smtp-test-0123456789-never-log-me"
HUGE = 8_000_000
logging.getLogger("mail.log").setLevel(logging.ERROR)  # aiosmtpd warns of its own deprecations


class FakeSmtp:
    """`sent` has the parsed messages. `url` is as SMTP_URL takes it."""

    name = "smtp"

    def __init__(self, world: "World", port: int = 0) -> None:
        self.sent: list[Any] = []
        self.unknown: set[str] = set()
        self._world = world
        self._controller = _Controller(
            _Handler(self, world), hostname="127.0.0.1", port=port, authenticator=_sign_in, auth_require_tls=False,
            decode_data=False, enable_SMTPUTF8=True, ident="fakeworld",
        )  # fmt: skip
        self._controller.start()

    @property
    def port(self) -> int:
        return int(self._controller.server.sockets[0].getsockname()[1])  # type: ignore[union-attr]

    @property
    def url(self) -> str:
        return f"smtp+none://{USER}:{PASSWORD}@127.0.0.1:{self.port}"

    @property
    def config(self) -> dict[str, Any]:
        """As a connection keeps it."""
        sender = "ManageAI <ops@manageai.example>"
        return {"from": sender, "host": "127.0.0.1", "port": self.port, "security": "none", "username": USER}

    def close(self) -> None:
        self._controller.stop(no_assert=True)


def _sign_in(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any) -> AuthResult:
    good = isinstance(data, LoginPassword) and (data.login, data.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=good, handled=good)


class _Controller(Controller):
    def _trigger_server(self) -> None:
        """The base class knocks at the port it was given, which may be 0."""
        self.port = self.server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        super()._trigger_server()


class _Handler:
    def __init__(self, fake: FakeSmtp, world: "World") -> None:
        self._fake, self._world = fake, world

    def _log(self, endpoint: str, mode: str, body: bytes, to: list[str], at: float, applied: bool) -> None:
        key = None
        if body:
            key = str(email.message_from_bytes(body).get("Message-ID", "")).strip("<> ").split("@")[0] or None
        self._world.log.add(
            vendor="smtp", endpoint=endpoint, mode=mode, body=body, at=at, key=key, recipients=to, applied=applied
        )

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, _options: list[str]) -> str:
        at, mode = time.time(), self._world.modes.next("smtp.rcpt")
        if mode != "ok":
            self._log("smtp.rcpt", mode, b"", [address], at, False)
            said = await self._misbehave(server, mode)
            if said is not None:
                return said
        if not session.authenticated:
            return "530 5.7.0 Authentication required"
        if address in self._fake.unknown:
            return "550 5.1.1 No such user here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:
        at, mode = time.time(), self._world.modes.next("smtp.data")
        body, to = bytes(envelope.content or b""), list(envelope.rcpt_tos)
        word, _, number = mode.partition(":")
        if word in ("reject_before", "drop_before", "hang", "429", "529"):
            self._log("smtp.data", mode, body, to, at, False)
            return await self._misbehave(server, mode) or "554 5.0.0 no"
        if word == "slow":
            await asyncio.sleep(float(number))
        self._log("smtp.data", mode, body, to, at, True)
        self._fake.sent.append(email.message_from_bytes(body, policy=email.policy.default))
        if word in ("ok", "slow"):
            return "250 2.0.0 OK: queued as FAKE1"
        if word == "apply_then_500":
            return "421 4.3.0 Going down"
        if word in ("malformed", "huge"):
            server.transport.write(b"Welcome to the proxy\r\n" if word == "malformed" else b"250-" + b"x" * HUGE)
        self._cut(server)
        return "421 gone"

    async def _misbehave(self, server: SMTP, mode: str) -> str | None:
        """The answer to a call that does nothing, or the end of the connection."""
        word, _, number = mode.partition(":")
        if word == "slow":
            await asyncio.sleep(float(number))
            return None
        if word == "hang":
            for _ in range(1200):
                if self._world.closing.is_set():
                    break
                await asyncio.sleep(0.05)
        if word in ("hang", "drop_before", "apply_then_drop"):
            self._cut(server)
            return "421 gone"
        return {"429": "451 4.7.1 Try again later", "529": "421 4.3.2 Too busy"}.get(word, f"{number or 554} 5.7.1 Refused")

    def _cut(self, server: SMTP) -> None:
        if server.transport is not None:
            server.transport.abort() if not server.transport.get_write_buffer_size() else server.transport.close()
