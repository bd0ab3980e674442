"""A few deals of our own, hostile texts, and a count of what a page asks the database."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from sqlalchemy import event
from streamlit.testing.v1 import AppTest

from core.domains.crm import importer
from core.kit import clock
from core.kit import db as database
from core.kit.actor import Actor
from core.kit.db import STAFF

TONY = Actor("Tony", "user", 4)
HEADER = "Deal id,Title,Account,Owner,Stage,Value,Created,Last activity,Expected close,Closed\n"
SCRIPT = "<img src=x onerror=alert(1)>"
LINKS = "![a](http://evil.example/a.png) [[deal.value]] **loud** $x$ :red[red] <b>bold</b>"


def day(ago: int) -> str:
    """A date so many days ago, as a CRM exports it."""
    return (clock.now() - timedelta(days=ago)).date().isoformat()


def import_deals(text: str) -> importer.ImportResult:
    """What `ops import deals` does, as Tony."""
    with database.transaction(STAFF) as session:
        return importer.run_import(session, (HEADER + text).encode(), importer.Options(file_name="deals.csv"), by=TONY)


def six_deals() -> None:
    """Two that need nobody, one overdue, one without value, one won, one lost."""
    import_deals(
        f"""D1,Cornerstone: Workflow automation,Cornerstone,Tony,Proposal,"12,500",{day(20)},{day(1)},{day(-20)},
D2,Northwind: AI blueprint,Northwind,Dave,Lead,8000,{day(10)},{day(2)},{day(-30)},
D3,Northwind: AI teammate,Northwind,Tony,Proposal,40000,{day(90)},{day(60)},{day(15)},
D4,Cornerstone: Assessment,Cornerstone,Tony,Lead,0,{day(5)},{day(1)},{day(-10)},
D5,Cornerstone: Managed automations,Cornerstone,Tony,Won,30000,{day(50)},{day(12)},{day(12)},{day(12)}
D6,Northwind: Support desk,Northwind,Dave,Lost,9000,{day(60)},{day(30)},{day(30)},{day(30)}
"""
    )


def many_deals(number: int) -> None:
    """So many deals more, in all stages, of as many accounts."""
    stages = ("Lead", "Proposal", "Won", "Lost")
    import_deals(
        "".join(
            f"M{n},Deal {n},Account {n},Owner {n % 7},{stages[n % 4]},{n * 10},{day(n % 300 + 40)},{day(n % 40)},{day(n % 40)},\n"
            for n in range(number)
        )
    )


def raw(at: AppTest) -> str:
    """Everything the page says in HTML, as the browser gets it."""
    return " ".join(h.proto.body for h in at.get("html"))


@contextmanager
def statements() -> Iterator[list[str]]:
    """Every SQL statement that is sent meanwhile."""
    sent: list[str] = []

    def listen(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        sent.append(statement)

    event.listen(database.engine(), "before_cursor_execute", listen)
    try:
        yield sent
    finally:
        event.remove(database.engine(), "before_cursor_execute", listen)


def asked(at: AppTest) -> int:
    """How many statements a warm rerun of the page sends."""
    at.run()
    with statements() as sent:
        at.run()
    assert not at.exception
    return len(sent)
