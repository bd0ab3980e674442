"""Whether a request comes from Slack: signature v0 over the raw body (docs.slack.dev, "Verifying requests from Slack")."""

import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Final

WINDOW_S: Final = 300
_SECONDS = re.compile(r"[1-9][0-9]{0,11}", re.ASCII)


def sign(body: bytes, timestamp: str, secret: str) -> str:
    """The value of X-Slack-Signature."""
    return "v0=" + hmac.new(secret.encode(), b"v0:" + timestamp.encode() + b":" + body, sha256).hexdigest()


def verified(body: bytes, headers: Mapping[str, str], secrets: Sequence[str], now: datetime) -> str | None:
    """The signature when it is right for one of `secrets` and at most five minutes old or ahead; else None.

    `headers` by lower-case name. The signature names the request: the same one again is a replay.
    """
    timestamp, given = headers.get("x-slack-request-timestamp", ""), headers.get("x-slack-signature", "")
    if not _SECONDS.fullmatch(timestamp) or abs(now.timestamp() - int(timestamp)) > WINDOW_S:
        return None
    fits = False
    for secret in secrets:
        if secret:  # an empty one would be anybody's
            fits |= hmac.compare_digest(sign(body, timestamp, secret).encode(), given.encode("utf-8", "replace"))
    return given if fits else None
