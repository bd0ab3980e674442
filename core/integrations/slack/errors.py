"""What Slack's refusals mean. It answers HTTP 200 with {"ok": false, "error": word}."""

from typing import Final

from core.kit.http import NoAnswer, NotApplied

_UNCLEAR: Final = frozenset({"internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org"})
"""Of the first two Slack's own reference says that some aspect of the operation may have succeeded."""
_LATER: Final = frozenset({"ratelimited", "rate_limited", "message_limit_exceeded"})
_WORDS: Final = {
    "channel_not_found": (
        "Slack knows no such channel, or the app may not see it.",
        "Check the channel, and invite the app to it.",
    ),
    "not_in_channel": ("The app is not in that channel.", "Invite the app to the channel in Slack."),
    "is_archived": ("That channel is archived.", "Choose another channel."),
    "msg_too_long": ("The message is too long for Slack.", "Shorten it."),
    "no_text": ("The message has no text.", "Write one."),
    "restricted_action": ("A rule of the workspace keeps the app from posting there.", "Ask an admin of the workspace."),
    "cant_delete_message": ("Slack does not let the app delete that message.", "Delete it in Slack."),
    "message_not_found": ("That message is no longer there.", "Nothing needs to be done."),
    "missing_scope": ("The app lacks a permission.", "Add the scope that Slack's page of the app names, and install it again."),
}
_KEY: Final = frozenset(
    {
        "invalid_auth",
        "not_authed",
        "account_inactive",
        "token_revoked",
        "token_expired",
        "no_permission",
        "not_allowed_token_type",
    }
)


class SlackRefused(NotApplied):
    """Slack said no. `code` is its word for why."""

    def __init__(self, code: str, *, status: int | None = None) -> None:
        if code in _KEY:
            told = ("Slack does not accept the bot token.", "Enter a working token under Connections.")
        else:
            told = _WORDS.get(code, (f"Slack refused it ({code[:60]}).", "See Slack's reference for that word."))
        super().__init__(*told, retryable=code in _LATER, status=status)
        self.code = code


def of(code: str, status: int | None = None) -> NotApplied | NoAnswer:
    """The error for Slack's word."""
    if code in _UNCLEAR:
        return NoAnswer("Slack had a problem of its own.", "It is looked into again.", status=status)
    return SlackRefused(code, status=status)
