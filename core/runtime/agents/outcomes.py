"""How a model call ended: the words in `model_calls.outcome`, and what a person reads for each."""

OK, REPAIRED, REJECTED, LOOKED_UP, STARTED, ABANDONED = "ok", "repaired", "rejected", "looked_up", "started", "abandoned"

LABELS: dict[str, str] = {
    STARTED: "Under way",
    OK: "Used",
    REPAIRED: "Used after one correction",
    REJECTED: "Not used: it did not pass the check",
    LOOKED_UP: "Looked something up",
    ABANDONED: "Stopped with its run",
    "refused": "The model declined",
    "overloaded": "Service overloaded",
    "rate_limited": "Asked to wait",
    "spend_cap": "Account's spend limit reached",
    "timed_out": "No answer in time",
    "cut": "Answer broke off",
    "unreachable": "Service not reached",
    "malformed": "Unreadable answer",
    "max_tokens": "Answer too long",
    "empty": "Empty answer",
    "bad_key": "API key not accepted",
    "bad_request": "Request not accepted",
    "failed": "Failed",
}


def label(outcome: str) -> str:
    """The outcome for people."""
    return LABELS.get(outcome, outcome.replace("_", " ").capitalize())
