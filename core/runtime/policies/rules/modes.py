"""How far anything may go: nowhere, to our own people, to a few outside, or to all."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from core.runtime.actions.kinds import INSIDE, NO_ACCOUNT
from core.runtime.actions.models import Audience
from core.runtime.policies.registry import Inputs, Number, Policy, Said, Values, allow, defer
from core.runtime.policies.situation import Situation
from core.runtime.policies.words import listed, many, moment, was

DRY_RUN, INTERNAL, LIMITED, LIVE = "dry_run", "internal_only", "limited_live", "live"
MODES: Final = (DRY_RUN, INTERNAL, LIMITED, LIVE)
DAY_S: Final = 86_400
LOOK_AGAIN: Final = timedelta(hours=1)
"""How often the mode is looked at for what it keeps back."""
_SOMEBODY: Final = "somebody"


def outsiders(i: Inputs, our_domains: Iterable[str]) -> list[str]:
    """Whom it reaches outside, out of the inputs `strangers`, `audience` and `recipients`; empty when nobody.

    A domain is ours only when it is exactly one of the list: neither a part of it nor something around it.
    """
    ours = {d.strip().lower().lstrip("@") for d in our_domains}
    if i["recipients"]:
        return [p for p in i["strangers"] if p.rpartition("@")[2].lower() not in ours]
    return [_SOMEBODY] if i["audience"] == Audience.OUTSIDE else []


def _mode(s: Situation) -> Inputs | None:
    a = s.action
    if a.account == INSIDE and a.audience != Audience.OUTSIDE:
        return None
    return {
        "strangers": list(s.strangers),
        "audience": a.audience.value,
        "recipients": len(a.recipients),
        "connected": a.account not in (NO_ACCOUNT, ""),
        "sent_outside": s.outside.count,
        "free_at": s.outside.free_at.isoformat() if s.outside.free_at else None,
        "now": s.now.isoformat(),
        "zone": str(s.zone),
    }


def _may_leave(i: Inputs, values: Values) -> Said | None:
    mode = values["mode"]
    if mode == DRY_RUN:
        return allow("Dry run: it goes all the way, but nothing leaves.", dry_run=True)
    outside = outsiders(i, values["our_domains"])
    if not outside:
        return allow("It reaches nobody outside.")
    if mode == LIVE:
        return allow("Sending to people outside is on.")
    whom = listed(outside)
    if not i["connected"]:
        return allow(f"No connection carries it, so it is a dry run: nothing reaches {whom}.", dry_run=True)
    if mode == LIMITED:
        return _limited(i, values)
    # kept, not denied: when an admin opens the mode, what people have approved meanwhile still goes
    until = datetime.fromisoformat(i["now"]) + LOOK_AGAIN
    return defer(
        f"It would reach {whom} outside, and only our own people are written to; an admin can change the send mode.", until
    )


def _limited(i: Inputs, values: Values) -> Said | None:
    cap, sent = int(values["daily_cap"]), int(i["sent_outside"])
    counted = f"{many(sent, 'message')} {was(sent)} sent outside in the last 24 hours, the most allowed is {cap}"
    if sent < cap:
        return allow(f"{counted}.")
    now = datetime.fromisoformat(i["now"])
    until = datetime.fromisoformat(i["free_at"]) if i["free_at"] else now + timedelta(seconds=DAY_S)
    when = moment(until, now, ZoneInfo(i["zone"]))
    return defer(f"{counted}; the next can go {when}.", until)


SEND_MODE = Policy(
    "send_mode",
    "How far messages go",
    "Keeps messages from people outside until you trust them: dry run, only our own people, a few a day, or all.",
    _mode,
    _may_leave,
    (
        Number(
            "mode", "Messages go", "choice", INTERNAL, options=MODES,
            help="Dry run: nothing leaves. Internal only: to our own people. Limited live: a few outside a day. Live: to all.",
        ),
        Number("daily_cap", "Outside at most, in 24 hours", "count", 20, 0, 1000, help="Holds for limited live."),
        Number("our_domains", "Domains that are ours", "words", [], help="Exactly these. Who has an account is ours anyway."),
    ),
)  # fmt: skip
