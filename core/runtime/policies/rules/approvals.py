"""When a person has to say yes, and when two have to."""

from core.kit.money import show
from core.runtime.policies.registry import Inputs, Number, Policy, Said, Values, allow, ask
from core.runtime.policies.rules.modes import outsiders
from core.runtime.policies.situation import Situation
from core.runtime.policies.words import listed


def _kind(s: Situation) -> Inputs:
    a = s.action
    return {
        "kind": a.kind,
        "word": a.word,
        "strangers": list(s.strangers),
        "audience": a.audience.value,
        "recipients": len(a.recipients),
        "cost": a.cost_minor,
        "currency": a.currency,
        "taken_back": a.undo and a.requested_by_kind == "user",
        "our_domains": list(s.our_domains),
    }


def _needs_person(i: Inputs, values: Values) -> Said | None:
    if i["taken_back"] and not i["cost"]:
        return allow("A person takes something back; that needs no second one.")
    outside = outsiders(i, i["our_domains"])
    if values["outside"] and outside:
        return ask(f"It reaches {listed(outside)} outside, and a person has to say yes to that.")
    if i["kind"] in values["kinds"]:
        return ask(f"A {i['word']} always needs a person.")
    if values["money"] and i["cost"]:
        return ask(f"It costs {show(i['cost'], i['currency'])}, and a person has to say yes to money.")
    return allow("Nothing about it needs a person.")


APPROVAL_KINDS = Policy(
    "approval_kinds",
    "What needs a person",
    "Keeps what reaches somebody outside, costs money or is of a listed kind waiting until a person approves it.",
    _kind,
    _needs_person,
    (
        Number("outside", "Everything that reaches somebody outside", "yes_no", True),
        Number("money", "Everything that costs money", "yes_no", True),
        Number("kinds", "These kinds always", "words", [], help="Names of kinds, such as pipedrive.deal.create."),
    ),
)


def _two(s: Situation) -> Inputs | None:
    if s.action.cost_minor == 0:
        return None
    return {"cost": s.action.cost_minor, "currency": s.action.currency}


def _needs_two(i: Inputs, values: Values) -> Said | None:
    start = values["start"].get(i["currency"])
    cost = show(i["cost"], i["currency"])
    if start is None:
        return ask(
            f"It costs {cost}, and {i['currency']} has no amount below which one person is enough: two have to approve.", 2
        )
    if i["cost"] >= start:
        return ask(f"It costs {cost}; from {show(int(start), i['currency'])} on two people have to approve.", 2)
    return allow(f"{cost} is below {show(int(start), i['currency'])}, so one person is enough.")


TWO_PEOPLE = Policy(
    "two_people",
    "Two people for much money",
    "Keeps larger amounts waiting until two different people have approved them.",
    _two,
    _needs_two,
    (
        Number(
            "start", "Two people from", "by_currency", {"USD": 10_000}, 0, 1_000_000_000,
            help="Changing this, the ceilings on money, or going on after everything was stopped takes two admins as well.",
        ),
    ),
    two_people=True,
)  # fmt: skip
