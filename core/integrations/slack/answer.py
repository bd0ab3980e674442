"""The answer to a click on a button, into the conversation it came from.

Slack does not read the body of our answer to such a request: it takes the answer at the address it sent along, for half an
hour. So this belongs to the request that came, and goes to Slack's own address only, whatever the request says.
"""

import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from core.config import get_settings
from core.errors import BadInput
from core.kit.http import LOOPBACK, Caller

HOSTS: Final = frozenset({"hooks.slack.com", "hooks.slack-gov.com"})


def answer(response_url: str, message: Mapping[str, Any]) -> None:
    """Post the message there, once. Raises BadInput for an address that is not Slack's, NotApplied or NoAnswer."""
    origin, path = _checked(response_url)
    body = json.dumps(message, ensure_ascii=False).encode()
    Caller("Slack", origin, {}, setting="OPS_SLACK_BASE_URL").write(
        "POST", path, body, {"content-type": "application/json; charset=utf-8"}
    )


def _checked(response_url: str) -> tuple[str, str]:
    try:
        parts = urlsplit(response_url)
    except ValueError:
        raise BadInput("That is not an address of Slack's.", "Nothing was sent there.") from None
    ours = urlsplit(get_settings().slack_base_url)
    slacks = parts.scheme == "https" and parts.netloc in HOSTS
    stand_in = ours.hostname in LOOPBACK and (parts.scheme, parts.netloc) == (ours.scheme, ours.netloc)
    if not (slacks or stand_in) or parts.query or parts.fragment or not parts.path.startswith("/"):
        raise BadInput("That is not an address of Slack's.", "Nothing was sent there.")
    return f"{parts.scheme}://{parts.netloc}", parts.path
