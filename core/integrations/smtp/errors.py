"""What a mail server's replies mean: 4yz is "not now", 5yz is "no"."""

from core.kit.http import NotApplied


class SmtpRefused(NotApplied):
    """The server did not take the mail."""


def refused(step: str, code: int, said: bytes) -> SmtpRefused:
    """The error for a reply below 600 that is not the one hoped for. `step` ends the sentence "refused …"."""
    words = " ".join(said.decode("utf-8", "replace").split())[:200]
    later = 400 <= code < 500
    return SmtpRefused(
        f"The mail server refused {step}: {code} {words}".rstrip() + ("" if words.endswith(".") else "."),
        "It is tried again by itself." if later else "Correct it, then propose it again.",
        retryable=later,
        status=code,
    )
