"""People outside: who must not be written to, how often anybody may be, and when."""

from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from core.runtime.policies.registry import Inputs, Number, Policy, Said, Values, allow, defer, deny
from core.runtime.policies.rules.modes import outsiders
from core.runtime.policies.situation import Situation
from core.runtime.policies.windows import apart, drops_below, quiet_until
from core.runtime.policies.words import many, moment

_WHY: Final = {
    "bounce": "mail to them bounced",
    "complaint": "they complained about a mail",
    "opt_out": "they asked for no more messages",
    "manual": "somebody here put them on the list",
}
WINDOWS: Final = (("week", 7), ("month", 30))


def _people(s: Situation) -> Inputs | None:
    if not s.action.recipients:
        return None
    return {"people": list(s.action.recipients), "suppressed": dict(s.suppressed), "readable": s.suppression_readable}


def _reachable(i: Inputs, _values: Values) -> Said | None:
    if not i["readable"]:
        return deny("The list of people who must not be written to can't be read, so nothing is sent.")
    found: Mapping[str, str] = i["suppressed"]
    if not found:
        return allow("Nobody it reaches is on the suppression list.")
    first, why = next(iter(found.items()))
    more = f", nor to {many(len(found) - 1, 'other')} of its recipients" if len(found) > 1 else ""
    return deny(f"Nothing may be sent to {first}, since {_WHY.get(why, 'they are on the list')}{more}.")


SUPPRESSION = Policy(
    "suppression",
    "People not to write to",
    "Keeps anything from reaching a person who opted out, complained or bounced, whoever sends it, however the address is spelt.",
    _people,
    _reachable,
)


def _contacts(s: Situation) -> Inputs | None:
    a = s.action
    facing = {"strangers": list(s.strangers), "audience": a.audience.value, "recipients": len(a.recipients)}
    if not outsiders(facing, s.our_domains):
        return None
    people = [p for p in outsiders(facing, s.our_domains) if "@" in p]
    return {
        "id": a.id,
        "people": {p: [_ago(at, s.now) for at in s.contacts.get(p, ())] for p in people},
        "marketing": a.marketing,
        "taken_back": a.undo,
        "now": s.now.isoformat(),
        "zone": str(s.zone),
    }


def _ago(at: datetime, now: datetime) -> float:
    """Seconds before now, which takes a fifth of the room of a date."""
    return round(max(0.0, (now - at).total_seconds()), 1)


def _seldom(i: Inputs, values: Values) -> Said | None:
    if i["taken_back"]:
        return allow("It takes something back rather than reaching anybody anew.")
    now, zone = datetime.fromisoformat(i["now"]), ZoneInfo(i["zone"])
    found = [_over(person, ago, values) for person, ago in i["people"].items()]
    over = [f for f in found if f is not None]
    if over:
        wait, why = max(over)
        return _too_often(i, values, now + timedelta(seconds=wait), why, now, zone)
    quiet = _quiet(now, zone, values)
    if quiet is None:
        return allow("Nobody it reaches was written to too often, and it is no quiet hour.")
    return defer(f"These are quiet hours for people outside; it can go {moment(quiet, now, zone)}.", apart(quiet, int(i["id"])))


def _over(person: str, ago: Sequence[float], values: Values) -> tuple[float, str] | None:
    """In how many seconds this person may be reached again, and why not now; None when now."""
    worst: tuple[float, str] | None = None
    for key, days in WINDOWS:
        length, cap = days * 86_400.0, int(values[key])
        wait = drops_below(ago, cap, length)
        if wait is None or (worst is not None and wait <= worst[0]):
            continue
        sent = sum(1 for s in ago if s < length)
        worst = wait, f"{person} got {many(sent, 'message')} in the last {days} days, the most allowed is {cap}"
    return worst


def _too_often(i: Inputs, values: Values, until: datetime, why: str, now: datetime, zone: ZoneInfo) -> Said:
    quiet = _quiet(until, zone, values)
    until = apart(quiet or until, int(i["id"]))
    wait = until - now
    if wait > timedelta(days=365):
        return deny(f"{why}.")
    if i["marketing"] and wait > timedelta(days=float(values["marketing_days"])):
        most = many(int(values["marketing_days"]), "day")
        return deny(f"{why}; marketing does not wait longer than {most}, and this would wait {many(wait.days, 'day')}.")
    return defer(f"{why}; the next can go {moment(until, now, zone)}.", until)


def _quiet(at: datetime, zone: ZoneInfo, values: Values) -> datetime | None:
    if values["quiet"] is not True:
        return None
    start, end = time.fromisoformat(values["quiet_from"]), time.fromisoformat(values["quiet_to"])
    return quiet_until(at, zone, start, end, weekends=bool(values["quiet_weekends"]))


CONTACT_CEILING = Policy(
    "contact_ceiling",
    "How often one person is written to",
    "Keeps anybody outside from getting too many messages from all of us together, and any at night.",
    _contacts,
    _seldom,
    (
        Number(
            "week", "One person in 7 days at most", "count", 4, 0, 50, help="From every sender and every organisation together."
        ),
        Number(
            "month",
            "One person in 30 days at most",
            "count",
            10,
            0,
            200,
            help="From every sender and every organisation together.",
        ),
        Number("quiet", "Keep quiet hours", "yes_no", True, help="In the zone of the organisation it is sent for."),
        Number("quiet_from", "Quiet from", "clock", "21:00"),
        Number("quiet_to", "Quiet until", "clock", "07:00"),
        Number("quiet_weekends", "Weekends are quiet", "yes_no", False),
        Number(
            "marketing_days", "Marketing waits at most so many days", "count", 7, 0, 60, help="What would wait longer is denied."
        ),
    ),
)
