"""Plays Resend: POST /emails with an Idempotency-Key that is kept for 24 hours, and its own error bodies."""

import hashlib
import time
import uuid
from typing import Any

from tests.fakeworld.server import Seen
from tests.fakeworld.vendor import About, Reply, json_of

KEY = "re_test_0123456789_never_log_me"
KEPT_S = 24 * 3600


def _no(status: int, name: str, message: str, headers: dict[str, str] | None = None) -> Reply:
    return Reply(status, {"statusCode": status, "message": message, "name": name}, headers=headers or {})


class FakeResend:
    """One account. `sent` has every mail by id; `advance` lets time pass for the keys."""

    name = "resend"

    def __init__(self) -> None:
        self.key = KEY
        self.sending_only = False
        self.domains = ["manageai.example"]
        self.sent: dict[str, dict[str, Any]] = {}
        self._keys: dict[str, tuple[float, str, str]] = {}
        self._ahead_s = 0.0

    def advance(self, seconds: float) -> None:
        self._ahead_s += seconds

    def endpoint(self, method: str, path: str) -> str | None:
        if path == "/emails" and method == "POST":
            return "emails"
        if path.startswith("/emails/") and method == "GET":
            return "emails.get"
        return "domains" if path == "/domains" and method == "GET" else None

    def about(self, endpoint: str, path: str, seen: Seen) -> About:
        to = json_of(seen).get("to", [])
        return About(seen.headers.get("idempotency-key"), tuple([to] if isinstance(to, str) else to))

    def refuse(self, endpoint: str, status: int | None) -> Reply:
        names = {401: "missing_api_key", 403: "invalid_api_key", 404: "not_found", 500: "internal_server_error"}
        status = status or 422
        return _no(status, names.get(status, "validation_error"), "We found an error with one or more fields in the request.")

    def limited(self, retry_after: str | None) -> Reply:
        headers = {} if retry_after is None else {"retry-after": retry_after}
        return _no(429, "rate_limit_exceeded", "Too many requests. You can only make 2 requests per second.", headers)

    def handle(self, endpoint: str, path: str, seen: Seen) -> Reply:
        given = seen.headers.get("authorization", "").removeprefix("Bearer ")
        if not given:
            return _no(401, "missing_api_key", "Missing API key in the authorization header.")
        if given != self.key:
            return _no(403, "invalid_api_key", "API key is invalid.")
        if endpoint == "emails":
            return self._send(seen)
        if self.sending_only:
            return _no(401, "restricted_api_key", "This API key is restricted to only send emails.")
        if endpoint == "emails.get":
            mail = self.sent.get(path.removeprefix("/emails/"))
            return Reply(200, mail) if mail else _no(404, "not_found", "Email not found")
        return Reply(200, {"data": [{"id": str(uuid.uuid4()), "name": d, "status": "verified"} for d in self.domains]})

    def _send(self, seen: Seen) -> Reply:
        mail, key = json_of(seen), seen.headers.get("idempotency-key")
        now, sha = time.time() + self._ahead_s, hashlib.sha256(seen.body).hexdigest()
        if key is not None:
            if not 1 <= len(key) <= 256:
                return _no(400, "invalid_idempotency_key", "The key must be between 1-256 chars.")
            known = self._keys.get(key)
            if known is not None and now - known[0] < KEPT_S:
                if known[1] != sha:
                    said = "This idempotency key has been used with a different request body."
                    return _no(409, "invalid_idempotent_request", said)
                return Reply(200, {"id": known[2]})
        if not mail.get("from") or not mail.get("to") or "subject" not in mail or not (mail.get("html") or mail.get("text")):
            return _no(422, "missing_required_field", "Missing `from`, `to`, `subject`, `html` or `text` field.")
        made = str(uuid.uuid4())
        self.sent[made] = {"object": "email", "id": made, "last_event": "delivered", **mail}
        if key is not None:
            self._keys[key] = (now, sha, made)
        return Reply(200, {"id": made}, applied=True)
