"""Who may act at all. These two grant: what neither of them allows is denied."""

from typing import Final

from core.runtime.policies.registry import Inputs, Number, Policy, Said, Values, allow, deny
from core.runtime.policies.situation import Situation
from core.runtime.policies.words import listed

SYSTEM: Final = "ManageAI Ops"
"""The name under which the program itself acts, when no agent and no person does."""
PROPOSE_SCOPE: Final = "actions:propose"
"""What an API key must have so that its request counts as somebody's who may ask."""
_PERSON, _API = "user", "api"

_MAY: Final[dict[str, list[str]]] = {
    "Executive AI": ["slack.post", "mail.send", "task.create"],
    "Sales AI": ["slack.post", "mail.send", "pipedrive.deal.create", "task.create"],
    "Engineering AI": ["slack.post", "mail.send", "task.create"],
    "Delivery AI": ["slack.post", "mail.send", "task.create"],
    "Marketing AI": ["slack.post", "mail.send", "task.create"],
    "Notifications": ["slack.post", "mail.send"],
    SYSTEM: ["slack.post", "mail.send", "task.create"],
}


def _agent(s: Situation) -> Inputs | None:
    if s.action.agent is None and s.action.requested_by_kind in (_PERSON, _API):
        return None
    return {"agent": s.action.agent or SYSTEM, "kind": s.action.kind, "word": s.action.word}


def _on_list(i: Inputs, values: Values) -> Said | None:
    may = values["may"].get(i["agent"], [])
    if i["kind"] in may:
        return allow(f"{i['agent']} may do this: “{i['kind']}” is on its list.")
    known = listed([f"“{k}”" for k in may], 6) or "nothing"
    return deny(f"{i['agent']} may not do this: “{i['kind']}” is not on its list, which has {known}.")


AGENT_KINDS = Policy(
    "agent_kinds",
    "What each agent may do",
    "Keeps an agent to the kinds of action on its list; an agent without a list may do nothing.",
    _agent,
    _on_list,
    (Number("may", "Kinds of action by agent", "by_agent", _MAY, help="A name that is not here may do nothing."),),
    grants=True,
)


def _asker(s: Situation) -> Inputs | None:
    a = s.action
    if a.agent is not None or a.requested_by_kind not in (_PERSON, _API):
        return None
    return {"by": a.requested_by_kind, "known": a.requested_by_id is not None, "scopes": list(s.api_scopes)}


def _asked(i: Inputs, _values: Values) -> Said | None:
    if i["by"] == _PERSON:
        return allow("A person who is signed in asked for it.") if i["known"] else deny("Nobody knows which person asked for it.")
    if PROPOSE_SCOPE in i["scopes"]:
        return allow(f"An API key with the scope “{PROPOSE_SCOPE}” asked for it.")
    return deny(f"An API key asked for it that may not: it needs the scope “{PROPOSE_SCOPE}”.")


PERSON_ASKED = Policy(
    "person_asked",
    "A person asked for it",
    "Lets a person who is signed in ask for an action; an API key only with the scope for it.",
    _asker,
    _asked,
    grants=True,
)
