"""Does the API key work, and may it send from our address?"""

from collections.abc import Mapping
from email.utils import parseaddr
from typing import Any

from core.integrations.resend.client import Resend
from core.integrations.resend.errors import ResendRefused
from core.kit.http import NotApplied


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
        known = "not verified yet" if state else "not known"
        raise NotApplied(f"The sender's domain {ours} is {known} in this account.", "Verify it in Resend → Domains.")
    return f"Works: it may send from {ours}." if ours else "Works; set the sender's address too."
