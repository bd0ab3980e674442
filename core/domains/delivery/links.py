"""Where tickets, clients and deployments open in the app; one place, so that a new page changes one line."""

TICKET_EVENTS = "/activity?type=ticket."
DEPLOYMENT_EVENTS = "/activity?type=deployment."
CLIENT_EVENTS = "/activity?type=client."


def ticket(ticket_id: int) -> str:
    """One ticket's history."""
    return f"/activity?subject=ticket:{ticket_id}"


def client(client_id: int) -> str:
    """One client's history."""
    return f"/activity?subject=client:{client_id}"
