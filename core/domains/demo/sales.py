"""The demo's pipeline: accounts, owners, stages, deals and the way they went."""

from datetime import datetime, timedelta

from core.domains.demo import words
from core.domains.demo.world import HISTORY, Row, World
from core.kit import money
from core.runtime.orgs.models import AGENCY_ID

DEALS = 180
_QUIET, _OVERDUE, _ZERO, _NO_VALUE = 14, 11, 6, 2
_STALLS = 0.06
"""Share of deals that go no further from each stage on."""


def build(world: World) -> None:
    """Everything the pipeline shows."""
    accounts = _accounts(world)
    owners = world.put_named("owners", "name", [{"name": n, "user_id": world.users.get(n)} for n in ("Tony", "Dave")])
    stages = _stages(world)
    names = list(accounts)
    walks = [_walk(world) for _ in range(DEALS)]
    rows = [_deal(world, number, walk, names, accounts, owners, stages) for number, walk in enumerate(walks)]
    _make_trouble(world, rows, walks)
    ids = world.put("deals", rows)
    _history(world, ids, rows, walks, stages)


def _accounts(world: World) -> dict[str, int]:
    rows: list[Row] = []
    for first in words.ACCOUNT_FIRST:
        for last, industry in world.rng.sample(words.ACCOUNT_LAST, 3):
            rows.append({"name": f"{first} {last}", "industry": industry, "employees": world.rng.choice(words.EMPLOYEES)})
    for name, industry, *_ in words.CLIENTS:
        rows.append({"name": name, "industry": industry, "employees": world.rng.choice(words.EMPLOYEES)})
    return world.put_named("accounts", "name", rows)


def _stages(world: World) -> dict[str, int]:
    rows = [
        {"name": name, "position": place, "status": status, "probability_percent": chance}
        for place, (name, chance, status) in enumerate(words.STAGES)
    ]
    return world.put_named("stages", "name", rows)


def _walk(world: World) -> list[tuple[str, datetime]]:
    """The stages a deal entered and when, until now."""
    at = world.office_time(world.now - HISTORY, world.now - timedelta(hours=3))
    steps = [(words.STAGES[0][0], at)]
    for place in range(1, 6):
        if world.rng.random() < _STALLS:
            break
        lost = world.rng.random() < (0.13 if place < 5 else 0.2)
        about = at + world.hours(8, 24 * 2.2 * (place + 1))
        if about > world.now - timedelta(hours=6):
            break
        at = world.office_time(max(at + timedelta(hours=1), about - timedelta(hours=5)), about + timedelta(hours=5))
        steps.append(("Lost" if lost else words.STAGES[place][0], at))
        if lost:
            break
    return steps


def _deal(
    world: World, number: int, walk: list[tuple[str, datetime]], names: list[str], accounts: dict[str, int],
    owners: dict[str, int], stages: dict[str, int],
) -> Row:  # fmt: skip
    product, least, most = world.rng.choice(words.PRODUCTS)
    account = world.rng.choice(names)
    stage, since = walk[-1]
    status = {"Won": "won", "Lost": "lost"}.get(stage, "open")
    opened = walk[0][1]
    reached = stages[walk[-2][0] if status != "open" else stage]
    return {
        "org_id": AGENCY_ID, "source": "demo", "external_id": f"demo-{int(world.now.timestamp())}-{number:03}",
        "title": f"{account}: {product}", "account_id": accounts[account],
        "owner_id": owners["Dave" if world.rng.random() < 0.18 else "Tony"], "stage_id": stages[stage],
        "furthest_stage_id": reached, "status": status, "product": product,
        "value_minor": world.rng.randrange(least // 100, most // 100) * 100_00, "currency": "USD", "opened_at": opened,
        "stage_since": since,
        "last_activity_at": since if status != "open" else _lately(world, since),
        "expected_close_on": (opened + timedelta(days=world.rng.randint(25, 60))).astimezone(world.zone).date(),
        "closed_at": None if status == "open" else since, "created_at": opened, "updated_at": since,
    }  # fmt: skip


def _lately(world: World, since: datetime) -> datetime:
    return world.office_time(max(since, world.now - timedelta(days=6)), world.now)


def _make_trouble(world: World, rows: list[Row], walks: list[list[tuple[str, datetime]]]) -> None:
    """Some open deals are quiet, some past their close date, some without a value; none more than a person would believe."""
    today = world.now.astimezone(world.zone).date()
    for row in rows:
        if row["status"] == "open" and row["expected_close_on"] <= today:
            row["expected_close_on"] = today + timedelta(days=world.rng.randint(1, 30))
    old = [i for i, r in enumerate(rows) if r["status"] == "open" and world.now - r["stage_since"] > timedelta(days=9)]
    for place in old[:_QUIET]:
        row = rows[place]
        row["last_activity_at"] = min(
            row["stage_since"] + world.hours(0, 30), world.now - timedelta(days=world.rng.randint(8, 9))
        )
    opened = [r for r in rows if r["status"] == "open"]
    for row in world.rng.sample(opened, min(_OVERDUE, len(opened))):
        row["expected_close_on"] = today - timedelta(days=world.rng.randint(1, 20))
    for place, row in enumerate(world.rng.sample(opened, min(_ZERO + _NO_VALUE, len(opened)))):
        row["value_minor"] = 0 if place < _ZERO else None
    for row, walk in zip(rows, walks, strict=True):
        row["updated_at"] = max(walk[-1][1], row["last_activity_at"])


def _history(
    world: World, ids: list[int], rows: list[Row], walks: list[list[tuple[str, datetime]]], stages: dict[str, int]
) -> None:
    changes: list[Row] = []
    for deal_id, row, walk in zip(ids, rows, walks, strict=True):
        before: tuple[str, datetime] | None = None
        who = "Tony"
        for stage, at in walk:
            changes.append(
                {
                    "org_id": row["org_id"], "deal_id": deal_id, "from_stage_id": stages[before[0]] if before else None,
                    "to_stage_id": stages[stage], "from_since": before[1] if before else None, "at": at, "actor": who,
                }
            )  # fmt: skip
            _tell(world, deal_id, row, stage, at, before is None, who)
            before = (stage, at)
    world.put_many("stage_changes", changes)


def _tell(world: World, deal_id: int, row: Row, stage: str, at: datetime, first: bool, who: str) -> None:
    subject, title = ("deal", deal_id), row["title"]
    if stage == "Won":
        said = f"{who} won “{title}”, worth {money.show(row['value_minor'], 'USD')}."
        world.tell("deal.won", said, at, actor=who, subject=subject, to_agents=("Engineering AI", "Delivery AI"), priority="high")
    elif stage == "Lost":
        world.tell("deal.lost", f"“{title}” was lost.", at, actor=who, subject=subject)
    elif first:
        world.tell("deal.created", f"{who} opened “{title}”.", at, actor=who, subject=subject)
    elif stage in ("Proposal", "Negotiation"):
        world.tell("deal.moved", f"{who} moved “{title}” to {stage}.", at, actor=who, subject=subject)
