"""Where tickets, clients and deployments open in the app; one place, so that a new page changes one line.

Builds and clients have no page of their own yet: their story is told by the events that name them.
"""

from urllib.parse import urlencode


def _events(kind: str, words: str = "", period: str = "All") -> str:
    return "/activity?" + urlencode({"kind": kind, **({"q": words} if words else {}), "period": period})


TICKET_EVENTS = _events("builds", period="30 d")
DEPLOYMENT_EVENTS = _events("builds", "deployment", "30 d")
CLIENT_EVENTS = _events("clients", period="30 d")


def ticket(title: str) -> str:
    """What happened to a build."""
    return _events("builds", title)


def client(name: str) -> str:
    """What happened with a client."""
    return _events("clients", name)


def status(name: str) -> str:
    """Builds that entered a status lately."""
    return _events("builds", name.lower(), "30 d")
