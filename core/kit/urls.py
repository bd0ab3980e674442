"""Where people reach the dashboard from outside it: for links in mails, Slack and on the command line."""

from core.config import get_settings


def base_url() -> str:
    """The dashboard's address, without a slash at the end."""
    settings = get_settings()
    if settings.public_url:
        return settings.public_url.rstrip("/")
    host = settings.bind_host
    host = "127.0.0.1" if host in ("0.0.0.0", "::", "") else f"[{host}]" if ":" in host else host  # noqa: S104
    return f"http://{host}:{settings.web_port}"
