"""What stops everything: the kill switch, and organisations that are switched off."""

from datetime import datetime
from typing import Any

from core.runtime.policies.models import Stage
from core.runtime.policies.registry import Inputs, Number, Policy, Said, Values, allow, deny
from core.runtime.policies.situation import Situation
from core.runtime.policies.words import moment


def _stops(s: Situation) -> Inputs:
    on = [{"reach": t["reach"], "reason": t["reason"], "by": t["by"], "since": _since(t.get("at"), s)} for t in s.stops]
    return {"environment": s.env_stop, "on": on, "readable": s.readable, "agent": s.action.agent, "organisation": s.org_name}


def _since(at: Any, s: Situation) -> str:
    if at is None:
        return ""
    return moment(at if isinstance(at, datetime) else datetime.fromisoformat(at), s.now, s.zone)


def _kill_switch(i: Inputs, _values: Values) -> Said | None:
    if not i["readable"]:
        return deny("The kill switch can't be read, so nothing leaves.")
    if i["environment"] is not None:
        return deny(f"Everything is stopped by whoever runs the server: {i['environment']}")
    if not i["on"]:
        return allow("No kill switch is on.")
    first = i["on"][0]
    what = {"organisation": f"Everything for {i['organisation']}", "agent": str(i["agent"])}.get(first["reach"], "Everything")
    since = f" {first['since']}" if first["since"] else ""
    return deny(f"{what} is stopped: {first['by']} pulled the kill switch{since}. {first['reason']}")


KILL_SWITCH = Policy(
    "kill_switch",
    "Kill switch",
    "Stops every effect in its reach at once; when it can't be read, everything stands still.",
    _stops,
    _kill_switch,
    stages=(Stage.SEND,),
)


def _organisation(s: Situation) -> Inputs:
    return {"organisation": s.org_name}


def _enabled(i: Inputs, values: Values) -> Said | None:
    if values["enabled"] is True:
        return allow(f"{i['organisation']} is switched on.")
    return deny(f"Nothing is done for {i['organisation']}: it is switched off under Policies.")


ORGANISATION_ENABLED = Policy(
    "organisation_enabled",
    "Organisation switched on",
    "Keeps anything from being done for an organisation that is switched off, such as a client who left.",
    _organisation,
    _enabled,
    (Number("enabled", "Actions are carried out for it", "yes_no", True, help="The agency's own value holds for every client."),),
)
