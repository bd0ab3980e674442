"""What came from a stranger's text decides neither whom, nor where, nor how much."""

from core.runtime.actions.models import Origin
from core.runtime.policies.registry import Inputs, Policy, Said, Values, allow, ask, deny
from core.runtime.policies.situation import Situation
from core.runtime.policies.words import listed


def _origin(s: Situation) -> Inputs | None:
    a = s.action
    if a.origin == Origin.TRUSTED and not a.untrusted_fields:
        return None
    return {"fields": list(a.untrusted_fields), "untrusted": a.origin == Origin.UNTRUSTED, "money": a.cost_minor != 0}


def _trusted(i: Inputs, _values: Values) -> Said | None:
    if i["money"]:
        return deny("It spends money and rests on text from outside, which may never decide about money.")
    if not i["fields"]:
        return allow("It was prompted by text from outside, but whom it reaches and where does not come from there.")
    return ask(f"{listed(i['fields']).capitalize()} came from text from outside, so a person has to look at it.")


UNTRUSTED_ORIGIN = Policy(
    "untrusted_origin",
    "Values from outside",
    "Keeps text from a mail, a form or a web page from deciding who gets something, where it goes or what it costs.",
    _origin,
    _trusted,
)
