"""The demo's tickets, their way through the statuses, and their deployments."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from core.domains.delivery import rules
from core.domains.demo import words
from core.domains.demo.world import DemoClient, Row, World
from core.kit.dates import midnight, week_before, week_of

CHAIN = ("SUBMITTED", "ANALYZING", "BUILDING", "REVIEW_PENDING", "APPROVED", "DEPLOYED", "CLOSED")
# hours a ticket stays in a status, least and most
_STAY = {
    "SUBMITTED": (1, 18), "ANALYZING": (4, 28), "BUILDING": (20, 88), "REVIEW_PENDING": (3, 36), "APPROVED": (1, 20),
    "DEPLOYED": (24, 90),
}  # fmt: skip
# where the open tickets stand now: status, then hours in it from and to, one entry a ticket
_OPEN_NOW: tuple[tuple[str, float, float], ...] = (
    ("SUBMITTED", 1, 7), ("SUBMITTED", 27, 44), ("SUBMITTED", 50, 70), ("ANALYZING", 3, 20), ("ANALYZING", 5, 30),
    ("BUILDING", 4, 30), ("BUILDING", 10, 40), ("BUILDING", 20, 60), ("BUILDING", 80, 110), ("BUILDING", 78, 112),
    ("BUILDING", 130, 190), ("BUILDING", 126, 150), ("BUILDING", 200, 260), ("REVIEW_PENDING", 3, 20),
    ("REVIEW_PENDING", 10, 40), ("REVIEW_PENDING", 52, 80), ("REVIEW_PENDING", 55, 100), ("APPROVED", 2, 20),
    ("APPROVED", 10, 30), ("FAILED", 20, 60), ("FAILED", 90, 300),
)  # fmt: skip
_DEPLOYED_NOW, _CLOSED = 6, 34
_CLOSED_LAST_WEEK = 2


@dataclass
class Build:
    """One ticket of the demo: its way, and when its deployments failed before one worked."""

    client: DemoClient
    title: str
    problem: str
    solution: str
    platform: str
    steps: list[tuple[str, datetime]]
    failures: list[datetime] = field(default_factory=list)
    value_minor: int = 0
    id: int = 0

    @property
    def deployed_at(self) -> datetime | None:
        """When it went live."""
        return next((at for status, at in self.steps if status == "DEPLOYED"), None)


def build(world: World) -> list[Build]:
    """Tickets with history, events and deployments. Returns them for whoever builds on them."""
    if not world.clients:
        return []
    made = _plan(world)
    _write(world, made)
    _deployments(world, made)
    return made


def _plan(world: World) -> list[Build]:
    quiet = {words.QUIET_CLIENT}
    busy = [c for c in world.clients if c.name not in quiet] or world.clients
    # the clients take turns, each through its own order of ideas: everybody has builds, nobody the same one twice
    mine = [[(c, b) for b in world.rng.sample(words.BUILDS, len(words.BUILDS))] for c in busy]
    ideas = iter([one for turn in zip(*mine, strict=True) for one in turn])
    made: list[Build] = []
    for status, least, most in _OPEN_NOW:
        since = world.office_time(world.now - timedelta(hours=most), world.now - timedelta(hours=least))
        made.append(_make(world, next(ideas), status, since))
    for _ in range(_DEPLOYED_NOW):
        since = world.office_time(world.now - timedelta(hours=80), world.now - timedelta(hours=2))
        made.append(_make(world, next(ideas), "DEPLOYED", since))
    for closed in _closings(world):
        made.append(_make(world, next(ideas), "CLOSED", closed))
    for client in (c for c in world.clients if c.name in quiet):
        long_ago = world.office_time(world.now - timedelta(days=48), world.now - timedelta(days=36))
        made.append(_make(world, (client, words.BUILDS[13]), "CLOSED", long_ago))
    return made


def _closings(world: World) -> list[datetime]:
    """When the closed tickets were closed: some of them certainly last week, none for the future."""
    first, last = week_before(world.now.astimezone(world.zone).date()).bounds(world.zone)
    times = [world.office_time(first, last - timedelta(hours=6)) for _ in range(_CLOSED_LAST_WEEK)]
    times += [world.office_time(world.now - timedelta(days=46), world.now - timedelta(hours=5)) for _ in range(_CLOSED)]
    return sorted(times)


def _make(world: World, idea: tuple[DemoClient, tuple[str, str, str, str]], status: str, since: datetime) -> Build:
    client, (title, problem, solution, platform) = idea
    steps = [(status, since)]
    known = "BUILDING" if status == "FAILED" else None
    place = CHAIN.index(known) + 1 if known else CHAIN.index(status)
    for before in reversed(CHAIN[:place]):
        least, most = _STAY[before]
        after = steps[0][1]
        steps.insert(0, (before, world.office_time(after - timedelta(hours=most), after - timedelta(hours=least))))
    if status in ("DEPLOYED", "CLOSED") and world.rng.random() < 0.18:
        _revise(world, steps)
    return Build(client, title, problem, solution, platform, steps, value_minor=world.rng.randrange(25, 140) * 100_00)


def _revise(world: World, steps: list[tuple[str, datetime]]) -> None:
    """The reviewer sent it back once: the way from building to review is walked twice."""
    place = next(i for i, s in enumerate(steps) if s[0] == "REVIEW_PENDING")
    start, end = steps[place - 1][1], steps[place][1]
    third = (end - start) / 3
    steps[place:place] = [("REVIEW_PENDING", start + third), ("BUILDING", start + 2 * third)]


def _write(world: World, made: list[Build]) -> None:
    this_week = midnight(week_of(world.now.astimezone(world.zone).date()).last, world.zone)
    rows: list[Row] = []
    for number, one in enumerate(made):
        status, since = one.steps[-1]
        dan = world.rng.random() < 0.3
        started = status not in ("SUBMITTED",)
        due = one.steps[0][1] + timedelta(days=world.rng.randint(9, 16))
        if status == "REVIEW_PENDING" or (status == "BUILDING" and number % 4 == 0):
            due = this_week - timedelta(days=world.rng.randint(1, 4), hours=-17)
        rows.append(
            {
                "org_id": one.client.org_id, "client_id": one.client.id, "title": one.title, "problem": one.problem,
                "solution": one.solution, "platform": one.platform, "status": status, "status_since": since,
                "assignee_user_id": world.users["Dan" if dan else "Brian"] if started else None,
                "reviewer_user_id": world.users["Brian" if dan else "Dan"] if started else None,
                "value_minor": one.value_minor, "currency": "USD", "due_at": due,
                "created_at": one.steps[0][1], "closed_at": since if status == "CLOSED" else None,
            }
        )  # fmt: skip
    for one, ticket_id in zip(made, world.put("tickets", rows), strict=True):
        one.id = ticket_id
    changes: list[Row] = []
    for one in made:
        before: str | None = None
        for status, at in one.steps:
            who = _who(status)
            changes.append(
                {
                    "org_id": one.client.org_id, "ticket_id": one.id, "from_status": before, "to_status": status, "at": at,
                    "actor": who, "note": None,
                }
            )  # fmt: skip
            _tell(world, one, before, status, at, who)
            before = status
    world.put_many("ticket_status_changes", changes)


def _who(status: str) -> str:
    return {"SUBMITTED": "Tony", "APPROVED": "Brian", "CLOSED": "Dan", "DEPLOYED": "Engineering AI"}.get(status, "Brian")


def _tell(world: World, one: Build, before: str | None, status: str, at: datetime, who: str) -> None:
    said = f"“{one.title}” is {rules.NAMES[status].lower()}."
    if before is None:
        said = f"{who} submitted “{one.title}”."
    elif status == "BUILDING" and before == "REVIEW_PENDING":
        said = f"{who} sent “{one.title}” back to building."
    world.tell(
        "ticket.created" if before is None else f"ticket.{status.lower()}", said, at, org_id=one.client.org_id, actor=who,
        subject=("ticket", one.id), payload={"from": before, "to": status, "client_id": one.client.id},
        to_agents={"DEPLOYED": ("Delivery AI", "Marketing AI", "Executive AI"), "FAILED": ("Engineering AI",)}.get(status, ()),
        priority="high" if status == "FAILED" else "normal",
    )  # fmt: skip


def _deployments(world: World, made: list[Build]) -> None:
    live = [b for b in made if b.deployed_at]
    for one in world.rng.sample(live, min(4, len(live))):
        at = one.deployed_at
        if at is not None:
            one.failures.append(at - world.hours(0.4, 0.9))
    approved = [b for b in made if b.steps[-1][0] == "APPROVED"]
    # one has just failed, and one failed in the night before the latest morning brief
    for one, at in zip(approved, (world.now - world.hours(0.3, 1.9), _last_morning(world) - world.hours(2, 9)), strict=False):
        one.failures.append(at)
    troubled = next((b for b in live if b.client.name == words.TROUBLED_CLIENT), None)
    if troubled is None and live:
        troubled = live[-1]
    rows: list[Row] = []
    if troubled is not None:
        for days in (4, 11):
            at = world.now - timedelta(days=days, hours=world.rng.randint(1, 9))
            rows.append(_deployment(world, troubled, at, "failed"))
    for one in made:
        rows += [_deployment(world, one, at, "failed") for at in one.failures]
        if one.deployed_at:
            rows.append(_deployment(world, one, one.deployed_at, "succeeded"))
    if live:
        rows.append(_deployment(world, live[0], world.now - timedelta(days=6, hours=5), "rolled_back"))
    world.put_many("deployments", sorted(rows, key=lambda r: r["at"]))


def _last_morning(world: World) -> datetime:
    """Seven o'clock of the latest weekday."""
    day = world.now.astimezone(world.zone).date()
    morning = midnight(day, world.zone) + timedelta(hours=7)
    while morning > world.now or day.weekday() >= 5:
        day -= timedelta(days=1)
        morning = midnight(day, world.zone) + timedelta(hours=7)
    return morning


def _deployment(world: World, one: Build, at: datetime, status: str) -> Row:
    error = None if status == "succeeded" else world.rng.choice(words.DEPLOY_ERRORS)
    if error:
        word = "failed" if status == "failed" else "was rolled back"
        world.tell(
            f"deployment.{status}", f"The deployment of “{one.title}” {word}.", at, org_id=one.client.org_id,
            actor="Engineering AI", subject=("ticket", one.id), to_agents=("Engineering AI", "Delivery AI"), priority="high",
            payload={"error": error, "platform": one.platform},
        )  # fmt: skip
    host = "".join(c for c in one.client.name.lower() if c.isalnum())
    return {
        "org_id": one.client.org_id, "ticket_id": one.id, "client_id": one.client.id, "platform": one.platform, "status": status,
        "error": error, "url": f"https://{one.platform}.{host}.example/{one.id}" if status == "succeeded" else None,
        "value_minor": one.value_minor, "currency": "USD", "at": at,
    }  # fmt: skip
