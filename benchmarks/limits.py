"""Limits under load: 32 workers at a cap of 50 an hour with 1,000 approved mails, and 500 ways around the suppression list.

The hour is compressed, else it would take twenty of them: LIMITS_WINDOW_S (10 s) stands for it, by the same setting a person has.
All else is real: the run ledger, the gate with its locks, the connector, and a vendor that is a process of its own with its own
clock and log. In the middle Valkey loses everything. Sizes: LIMITS_MAILS, LIMITS_WORKERS.
"""

import multiprocessing
import os
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness import Stack
from benchmarks.results import result, table
from core.config import get_settings
from core.kit import db, keyring
from core.kit.actor import Actor
from core.kit.db import STAFF
from core.runtime.actions import service
from core.runtime.actions.models import ActionState, Decided
from core.runtime.connections import service as connections
from core.runtime.runs import execute
from tests.cast import NORTHWIND_ORG, Cast, make_cast
from tests.fakeworld.process import Remote
from tests.gates import open_to_all, set_numbers

CAP = 50
WINDOW_S = float(os.environ.get("LIMITS_WINDOW_S", "10"))
MAILS = int(os.environ.get("LIMITS_MAILS", "1000"))
WORKERS = int(os.environ.get("LIMITS_WORKERS", "32"))
_DUE = """
    SELECT id FROM runs WHERE kind = 'action.execute' AND state IN ('queued', 'waiting')
    AND (run_after IS NULL OR run_after <= clock_timestamp()) ORDER BY run_after NULLS FIRST, id LIMIT 40
"""
_OPEN = "SELECT count(*) FROM actions WHERE state NOT IN ('done', 'failed', 'denied', 'dismissed', 'unknown')"


def ask(statement: str) -> list[Any]:
    """Rows of a plain question."""
    from sqlalchemy import text

    with db.transaction(STAFF) as session:
        return list(session.execute(text(statement)))


def work(number: int) -> None:
    """One worker: takes runs that are due, like the others, until nothing is open."""
    rng = random.Random(number)
    while True:
        due = [r.id for r in ask(_DUE)]
        if due:
            execute.execute(rng.choice(due), f"limits-{number}")
        elif not ask(_OPEN)[0][0]:
            return
        else:
            time.sleep(rng.uniform(0.02, 0.08))


def most_within(instants: Sequence[float], window: float) -> int:
    """The most in any window of that length, by sliding it over every one of them."""
    ranked = sorted(instants)
    first = most = 0
    for last, at in enumerate(ranked):
        while ranked[first] <= at - window:
            first += 1
        most = max(most, last - first + 1)
    return most


def prepare(remote: Remote) -> Cast:
    """People, the agency's account at the vendor for mail, and another of a client."""
    os.environ.update(remote.environment)
    get_settings.cache_clear()
    keyring.create()
    with db.transaction(STAFF) as session:
        cast = make_cast(session)
        password = remote.keys["SMTP_URL"].split(":")[2].split("@")[0]
        sender = {"from": remote.smtp_config["from"]}
        connections.save(session, "resend", "main", sender, remote.keys["RESEND_API_KEY"], cast.actor("Dave"))
        connections.save(session, "smtp", "main", dict(remote.smtp_config), password, Actor("Dave"), NORTHWIND_ORG)
    return cast


def approve(cast: Cast) -> None:
    """So many mails that a person approved."""
    with db.transaction(STAFF) as session:
        open_to_all(session, approvals=True)
        set_numbers(session, "rate_limit", kinds={"mail.send": CAP}, window_s=WINDOW_S)
    for number in range(MAILS):
        mail = {"to": f"reader{number}@northwind.example", "subject": f"News {number}", "text": "Good morning."}
        with db.transaction(STAFF) as session:
            made = service.propose(session, service.Proposal("mail.send", mail, cast.actor("Robert")))
            if made.state != ActionState.AWAITING:
                raise AssertionError(f"{made.state}: {made.reason}")
            sha = ask_sha(session, made.id)
            service.decide(session, made.id, Decided.APPROVE, cast.actor("Dave"), payload_sha256=sha, via="web")


def ask_sha(session: Any, action_id: int) -> str:
    """What an approval of this action is bound to."""
    from core.runtime.actions.models import Action

    return str(session.get(Action, action_id).payload_sha256)


def rate(folder: Path) -> int:
    """1,000 approved mails through the gate by all workers at once. Returns what went wrong."""
    from core.kit import redis

    remote = Remote.start(folder / "vendors.jsonl")
    try:
        approve(prepare(remote))
        fork, began = multiprocessing.get_context("fork"), time.monotonic()
        crowd = [fork.Process(target=work, args=(n,)) for n in range(WORKERS)]
        for one in crowd:
            one.start()
        time.sleep(WINDOW_S * 2.5)
        redis.client().flushdb()
        for one in crowd:
            one.join()
        took = time.monotonic() - began
        sent = remote.applied("resend.emails")
        doubles = len(remote.doubles())
    finally:
        remote.close()
    ended = {r[0]: r[1] for r in ask("SELECT state, count(*) FROM actions GROUP BY state")}
    waited = ask("SELECT count(*), count(DISTINCT until) FROM policy_verdicts WHERE policy = 'rate_limit' AND verdict = 'defer'")[
        0
    ]
    most = most_within([c["at"] for c in sent], WINDOW_S)
    dropped = MAILS - len({c["key"] for c in sent})
    died = sum(1 for one in crowd if one.exitcode)
    ideal = (MAILS / CAP - 1) * WINDOW_S
    table(
        f"{WORKERS} workers, {MAILS:,} approved mails, at most {CAP} in an hour that is compressed to {WINDOW_S:g} s",
        ["Most in any window", "Sent", "Dropped", "Twice", "Deferrals", "Different moments", "Took", "Least possible"],
        [[most, len(sent), dropped, doubles, waited[0], waited[1], f"{took:.0f} s", f"{ideal:.0f} s"]],
    )
    against = f"{WORKERS} workers, {MAILS} mails, hour compressed to {WINDOW_S:g} s, Valkey wiped once; {ended}"
    result("limits.most_in_any_window", most, "mails", against, CAP, most <= CAP)
    result("limits.dropped", dropped, "mails", against, 0, dropped == 0 and ended == {"done": MAILS})
    result("limits.doubled", doubles, "mails", against, 0, doubles == 0)
    return int(most > CAP) + dropped + doubles + died


def bypass(folder: Path) -> int:
    """500 ways around the suppression list, along the real way to the vendors' own log. Returns how many arrived."""
    from tests.core.runtime.contacts import variants as tries
    from tests.core.runtime.contacts.test_bypass import DAVE_MAIL, change, phases

    remote = Remote.start(folder / "bypass.jsonl")
    try:
        cast = prepare(remote)
        change(cast, "contact_ceiling", quiet=False, week=50, month=200)
        change(cast, "rate_limit", kinds={"mail.send": 5000})
        change(cast, "send_mode", our_domains=[tries.OUR_DOMAIN])
        ended: dict[str, int] = {}
        wanted = tries.variants(500)
        for one in phases(cast, wanted):
            state = tries.carry_out(one, cast.actor("Dave"))
            ended[state] = ended.get(state, 0) + 1
        reached = [r for c in remote.applied() for r in c["recipients"] if r != DAVE_MAIL]
        honest = [tries.carry_out(one, cast.actor("Dave")) for one in phases(cast, tries.honest())]
    finally:
        remote.close()
    arrived = honest.count("done")
    table(
        "Ways around the suppression list",
        ["Tried", "Delivered", "How they ended", "Honest mail in the same spellings"],
        [[len(wanted), len(reached), ", ".join(f"{n} {s}" for s, n in ended.items()), f"{arrived} of {len(honest)} arrived"]],
    )
    result("limits.bypass_delivered", len(reached), "mails", f"{len(wanted)} variants", 0, not reached)
    result(
        "limits.honest_delivered", arrived, "mails", f"{len(honest)} in the same spellings", len(honest), arrived == len(honest)
    )
    return len(reached) + len(honest) - arrived


def main() -> int:
    """Both parts, each on stores of its own; by name one of them. Exit code 1 when anything is wrong."""
    wrong = 0
    for name in sys.argv[1:] or ("rate", "bypass"):
        with Stack() as stack:
            wrong += {"rate": rate, "bypass": bypass}[name](stack.folder)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
