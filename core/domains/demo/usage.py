"""The demo's automations and sixty days of their runs."""

from datetime import datetime, timedelta

from core.domains.demo import words
from core.domains.demo.builds import Build
from core.domains.demo.world import DemoClient, Row, World

DAYS = 60
_FROM_TICKETS, _OLDER = 18, 17
_TROUBLE = ("failing", "degraded", "degraded", "inactive")


def build(world: World, builds: list[Build]) -> None:
    """Automations of this period's builds and some older ones, with their days."""
    if not world.clients:
        return
    live = [b for b in builds if b.deployed_at]
    # the latest completed ones first: what is written about last week's builds needs their figures
    live.sort(key=lambda b: (b.steps[-1][0] == "CLOSED", b.steps[-1][1]), reverse=True)
    rows = [_row(world, b.client, b.title, b.platform, b.deployed_at or world.now, b.id) for b in live[:_FROM_TICKETS]]
    for number in range(_OLDER):
        client = world.clients[number % len(world.clients)]
        idea = words.BUILDS[(number * 5 + 3) % len(words.BUILDS)]
        rows.append(_row(world, client, idea[0], idea[3], world.now - timedelta(days=world.rng.randint(64, 300)), None))
    for row, health in zip(world.rng.sample(rows, min(len(_TROUBLE), len(rows))), _TROUBLE, strict=False):
        row["health"], row["active"] = health, health != "inactive"
        row["last_error"] = world.rng.choice(words.AUTOMATION_ERRORS)
    days: list[Row] = []
    for row, automation_id in zip(rows, world.put("automations", rows), strict=True):
        _trouble_event(world, row, automation_id)
        days += _days(world, row, automation_id)
    world.put_many("automation_days", days)


def _row(world: World, client: DemoClient, name: str, platform: str, since: datetime, ticket_id: int | None) -> Row:
    return {
        "org_id": client.org_id, "client_id": client.id, "ticket_id": ticket_id, "name": name, "platform": platform,
        "external_id": f"wf-{world.rng.randrange(1000, 9999)}", "external_url": None, "active": True, "health": "healthy",
        "last_run_at": world.now - world.hours(0.05, 5), "last_checked_at": world.now - world.hours(0.01, 0.9),
        "last_error": None,
        "created_at": since,
    }  # fmt: skip


def _trouble_event(world: World, row: Row, automation_id: int) -> None:
    if row["health"] == "failing":
        world.tell(
            "automation.error", f"“{row['name']}” keeps failing: {row['last_error']}", world.now - world.hours(2, 9),
            org_id=row["org_id"], subject=("automation", automation_id), to_agents=("Delivery AI", "Engineering AI"),
            priority="high",
        )  # fmt: skip


def _days(world: World, row: Row, automation_id: int) -> list[Row]:
    usual = world.rng.choice((6, 12, 20, 35, 60, 110))
    share = {"failing": 0.35, "degraded": 0.09}.get(row["health"], 0.006)
    today = world.now.date()
    days: list[Row] = []
    for back in range(DAYS, 0, -1):
        day = today - timedelta(days=back)
        if day < row["created_at"].date() or (row["health"] == "inactive" and back < 9):
            continue
        runs = round(usual * world.rng.uniform(0.7, 1.3) * (0.25 if day.weekday() >= 5 else 1))
        # trouble is recent: a month ago everything was well
        wrong = share if back < 20 else 0.006
        errors = sum(world.rng.random() < wrong for _ in range(runs))
        days.append({"org_id": row["org_id"], "automation_id": automation_id, "day": day, "runs": runs, "errors": errors})
    return days
