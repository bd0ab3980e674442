"""Does the API key work, and may it send from our address?"""

from collections.abc import Mapping
from email.utils import parseaddr
from typing import Any

from core.integrations.resend.client import Resend
from core.integrations.resend.errors import ResendRefused


def check(config: Mapping[str, Any], secret: str) -> str:
    """One sentence. Raises NotApplied or NoAnswer with one that says what is wrong."""
    try:
        domains = Resend(secret).domains()
    except ResendRefused as error:
        if error.code == "restricted_api_key":
            return "The key works and may only send; whether the sender's domain is verified can't be asked with it."
        raise
    ours = parseaddr(str(config.get("from") or ""))[1].rpartition("@")[2].lower()
    state = domains.get(ours)
    if ours and state != "verified":
        raise ResendRefused(
            "domain", f"the domain {ours} is {'not verified' if state else 'not known'} in this account", 403
        ) from None
    return f"Works: it may send from {ours}." if ours else "Works; set the sender's address too."
