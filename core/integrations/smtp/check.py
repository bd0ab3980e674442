"""Can we sign in at the mail server?"""

from collections.abc import Mapping
from typing import Any

from core.integrations.smtp.client import STARTTLS, MailServer
from core.integrations.smtp.errors import SmtpRefused


def server(config: Mapping[str, Any], secret: str) -> MailServer:
    """The server a connection names: {"host", "port", "security", "username"}, with the password. Raises SmtpRefused."""
    try:
        host, port = str(config["host"]).strip(), int(config.get("port") or 587)
    except (KeyError, ValueError, TypeError):
        raise SmtpRefused("The mail server's host or port is missing.", "Enter them under Connections.") from None
    security = str(config.get("security") or STARTTLS)
    return MailServer(host, port, security, str(config.get("username") or ""), secret)


def check(config: Mapping[str, Any], secret: str) -> str:
    """One sentence. Raises SmtpRefused or NoAnswer with one that says what is wrong."""
    server(config, secret).check()
    return f"Works: signed in at {config['host']}."
