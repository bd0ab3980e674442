"""What Resend's error bodies mean: {"statusCode", "name", "message"}."""

from core.kit.http import NoAnswer, NotApplied


class ResendRefused(NotApplied):
    """Resend said no. `code` is its `name` for why."""

    def __init__(self, code: str, said: str, status: int) -> None:
        if code in ("missing_api_key", "invalid_api_key") or (status in (401, 403) and code != "validation_error"):
            told = ("Resend does not accept the API key.", "Enter a working key under Connections.")
        elif code == "invalid_idempotent_request":
            told = ("Resend has had another mail under the same key.", "Look at Resend's log before you propose it again.")
        else:
            told = (f"Resend refused the mail: {_plain(said)}", "Correct it, then propose it again.")
        super().__init__(*told, status=status)
        self.code = code


def of(code: str, said: str, status: int) -> NotApplied | NoAnswer:
    """The error for one of Resend's bodies."""
    if code == "concurrent_idempotent_requests":  # our own first attempt is still being worked on
        return NoAnswer("Resend is still busy with the first attempt.", "It is asked again with the same key.", status=status)
    return ResendRefused(code, said, status)


def _plain(said: str) -> str:
    line = " ".join(said.split())[:200] or "it gave no reason"
    return line if line.endswith((".", "!", "?")) else f"{line}."
