"""A person's open tasks: one line each, with a button that says it is done."""

from collections.abc import Sequence

import streamlit as st

from app.auth.current import current_user
from app.ui import nav, page, words
from app.ui.words import esc
from core.domains.tasks import service
from core.domains.tasks.queries import TaskRow
from core.kit import db
from core.kit.db import STAFF

SHOWN = 5


def show(tasks: Sequence[TaskRow], role: str) -> None:
    """What this person is to do, the most urgent first. Nothing when there is nothing."""
    if not tasks:
        return
    with st.container(key="tasks", gap="small"):
        for task in tasks[:SHOWN]:
            with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"task_{task.id}"):
                st.html(line(task, role))
                said = "Takes it off the list; Activity keeps who did it."
                st.button("Done", key=f"done_{task.id}", on_click=done, args=(task.id,), help=said)
        rest = len(tasks) - SHOWN
        if rest > 0:
            st.html(f'<p class="lead">{esc(words.many(rest, "more task"))}, shown when these are done.</p>')


def line(task: TaskRow, role: str) -> str:
    """One task in HTML."""
    href = nav.link(f"/action?action={task.action_id}", role) if task.action_id else None
    title = f'<a href="{esc(href)}">{esc(task.title)}</a>' if href else esc(task.title)
    when = f" · {'was due' if task.late else 'due'} {esc(words.day(task.due_at))}" if task.due_at else ""
    whose = "" if task.mine else " · for anybody in your role"
    detail = f" {esc(task.detail)}" if task.detail else ""
    return (
        f'<div class="note c-{"red" if task.late else "amber"}"><b>{title}</b>{detail}'
        f"<small> {esc(task.reason)}: {esc(task.evidence)}{when}{whose}</small></div>"
    )


def done(task_id: int) -> None:
    """Callback: this person has done it."""
    person = current_user()

    def work() -> str:
        with db.transaction(STAFF) as session:
            service.done(session, task_id, person.actor)
        return "Done."

    page.attempt(work)
