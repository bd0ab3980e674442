"""Sending a mail through Resend. A second send with the same key within 24 hours is the same mail."""

from datetime import timedelta
from typing import Final

from core.config import get_settings
from core.integrations.resend.errors import of
from core.kit.http import Answer, Caller, NoAnswer

KEY_KEPT: Final = timedelta(hours=24)
"""How long Resend remembers an Idempotency-Key."""


class Resend:
    """One account."""

    def __init__(self, api_key: str, base_url: str | None = None) -> None:
        headers = {"authorization": f"Bearer {api_key.strip()}"}
        self._http = Caller("Resend", base_url or get_settings().resend_base_url, headers, setting="OPS_RESEND_BASE_URL")

    def send(self, body: bytes, key: str) -> str:
        """POST /emails with exactly these bytes. Returns Resend's id. Raises NotApplied or NoAnswer."""
        headers = {"content-type": "application/json", "idempotency-key": key}
        answer = self._http.write("POST", "/emails", body, headers)
        _raise_for(answer)
        made = (answer.json() or {}).get("id")
        if not isinstance(made, str) or not made:
            raise NoAnswer("Resend answered something we can't read.", "It is looked into again.", status=answer.status)
        return made

    def domains(self) -> dict[str, str]:
        """Domain to its state ("verified"). Raises ResendRefused("restricted_api_key") for a key that may only send."""
        answer = self._http.read("/domains", {})
        _raise_for(answer)
        listed = (answer.json() or {}).get("data")
        if not isinstance(listed, list):
            raise NoAnswer("Resend answered something we can't read.", "Check OPS_RESEND_BASE_URL.", status=answer.status)
        return {str(d.get("name")): str(d.get("status")) for d in listed if isinstance(d, dict)}


def _raise_for(answer: Answer) -> None:
    if 200 <= answer.status < 300:
        return
    told = answer.json()
    if told is None or "name" not in told:  # a proxy's words, not Resend's
        raise NoAnswer("Resend answered something we can't read.", "It is looked into again.", status=answer.status)
    raise of(str(told["name"]), str(told.get("message", "")), answer.status)
