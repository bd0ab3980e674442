"""Whether a request comes from Resend: it signs as Svix does (Standard Webhooks), over the raw body.

The library compares; what it reads leniently (a timestamp with a fraction, base64 with stray characters) is refused before,
so that each signed request has one spelling only.
"""

import re
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from typing import Final

WINDOW_S: Final = 300
"""The library's own: five minutes back and ahead."""
MAX_SIGNATURES: Final = 10
_ID = re.compile(r"[!-~]{1,200}", re.ASCII)
_SECONDS = re.compile(r"[1-9][0-9]{0,11}", re.ASCII)
_SIGNATURE = re.compile(r"v1,([A-Za-z0-9+/]{43}=)", re.ASCII)
_OTHER = re.compile(r"v[0-9]{1,2}[a-z]?,[A-Za-z0-9+/=_-]{1,200}", re.ASCII)


def verified(body: bytes, headers: Mapping[str, str], secrets: Sequence[str]) -> str | None:
    """The message's id when the request is signed with one of `secrets` and at most five minutes old or ahead; else None.

    `headers` by lower-case name, svix-* or webhook-*. A message that is sent again keeps its id.
    """
    given = _headers(headers)
    if given is None:
        return None
    fits = False
    for secret in secrets:
        fits |= _fits(body, given, secret)
    return given["webhook-id"] if fits else None


def _headers(headers: Mapping[str, str]) -> dict[str, str] | None:
    prefix = "svix-" if "svix-id" in headers else "webhook-"
    given = {f"webhook-{part}": headers.get(prefix + part, "") for part in ("id", "timestamp", "signature")}
    signatures = given["webhook-signature"].split(" ")
    well = _ID.fullmatch(given["webhook-id"]) and _SECONDS.fullmatch(given["webhook-timestamp"])
    if not well or len(signatures) > MAX_SIGNATURES or not all(map(_one_spelling, signatures)):
        return None
    return given


def _one_spelling(signature: str) -> bool:
    found = _SIGNATURE.fullmatch(signature)
    if found is None:
        return not signature.startswith("v1,") and _OTHER.fullmatch(signature) is not None
    return b64encode(b64decode(found[1])).decode() == found[1]


def _fits(body: bytes, given: dict[str, str], secret: str) -> bool:
    from standardwebhooks import Webhook
    from standardwebhooks.webhooks import EmptyWebhookSecretError, WebhookVerificationError

    if len(secret.removeprefix("whsec_")) < 8:  # an empty one would be anybody's
        return False
    try:
        Webhook(secret).verify(body, given, json_parse=False)
    except (WebhookVerificationError, EmptyWebhookSecretError, ValueError):
        return False  # a body that is no text, a secret that is no base64
    return True
