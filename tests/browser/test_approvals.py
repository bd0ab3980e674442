"""Approving with a real browser against running processes: what was on the screen is what Slack gets, once."""

import json
import re

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import text

from core.domains.users.models import User
from core.kit import clock
from core.kit import db as database
from core.kit.actor import Actor
from core.kit.db import STAFF
from core.runtime.actions import service
from core.runtime.actions.models import Action, ActionDecision
from core.runtime.actions.service import Proposal
from core.runtime.orgs.models import AGENCY_ID
from core.runtime.policies.models import PolicySetting
from tests import acts
from tests.browser.conftest import is_calm, shot
from tests.fakeworld.world import World

pytestmark = [pytest.mark.browser, pytest.mark.slow]
BRIEF = """# CEO Morning Brief
**Twelve deals** are open, worth $84,000.
- Cornerstone has been quiet for **9 days**
- Two builds are late"""


def asked(channel: str = "#leadership", words: str = BRIEF) -> int:
    """An agent asks for a Slack post, and the policies want a person for it."""
    with database.transaction(STAFF) as session:
        if session.query(PolicySetting).filter_by(policy="approval_kinds").first() is None:
            kinds = {"kinds": ["slack.post"]}
            session.add(PolicySetting(org_id=AGENCY_ID, policy="approval_kinds", values=kinds, edited_by="Dave"))
            session.flush()
        made = service.propose(
            session,
            Proposal(
                "slack.post", {"channel": channel, "text": words}, Actor("CEO Morning Brief", "run"), agent="Executive AI",
                reason="The brief goes to leadership each morning.", facts=acts.FACTS,
                provenance={"channel": {"origin": "trusted", "source": "the job's task"}},
            ),
        )  # fmt: skip
    assert made.state == "awaiting_approval", made
    return made.id


def posted(world: World) -> list[str]:
    """What Slack was given to post."""
    return [json.loads(c["body"])["text"] for c in world.applied("slack.chat.postMessage")]


def row(action_id: int) -> Action:
    with database.transaction(STAFF) as session:
        return session.get(Action, action_id)


def test_dave_approves_on_his_phone_and_takes_it_back(visit, slack):
    page = visit("/approvals", phone=True)
    expect(page.get_by_text("Nothing waits for a yes or no.")).to_be_visible()
    shot(page, "01-phone-empty")
    before = len(posted(slack))
    action_id = asked()
    card = page.locator(f"tr[data-id^='{action_id}.']")
    expect(card).to_be_visible()  # nobody reloaded
    shot(page, "02-phone-list")
    card.click()
    page.wait_for_url(re.compile(rf"/action\?action={action_id}$"))
    expect(page.get_by_text("Exactly what will be sent")).to_be_visible()
    for name in ("Post to Slack", "Edit", "Reply", "Reject"):
        box = page.get_by_role("button", name=name, exact=True).bounding_box()
        assert box is not None
        assert box["height"] >= 44
        assert box["width"] >= 44
        assert box["y"] + box["height"] <= 844  # in reach of the thumb, without scrolling
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    shot(page, "03-phone-item")
    page.get_by_role("button", name="Post to Slack", exact=True).click()
    expect(page.locator(".pg h1 .tag").first).to_have_text("Done", timeout=20_000)
    assert posted(slack)[before:] == [page_text(action_id)]
    shot(page, "04-phone-done")
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("Delete from Slack: #leadership on Slack.")).to_be_visible()
    shot(page, "05-phone-undo")
    page.get_by_role("button", name="Delete from Slack").click()
    expect(page.locator(".pg h1 .tag").first).to_have_text("Undone", timeout=20_000)
    shot(page, "06-phone-undone")
    assert len(slack.applied("slack.chat.delete")) == 1


def page_text(action_id: int) -> str:
    """The text in the bytes that were approved."""
    return str(json.loads(bytes(row(action_id).wire))["text"])


def test_an_edit_is_shown_and_is_what_goes_out(visit, slack):
    before, action_id = len(posted(slack)), asked()
    page = visit(f"/approvals?action={action_id}")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("Exactly what will be sent")).to_be_visible()
    shot(page, "10-drawer")
    dialog.get_by_role("button", name="Edit", exact=True).click()
    dialog.get_by_label("Message").fill("Eleven deals are **open**, one closed this morning.")
    shot(page, "11-edit")
    dialog.get_by_role("button", name="Save as new version").click()
    expect(dialog.get_by_text("Changed by Dave")).to_be_visible()
    expect(dialog.locator(".post .say")).to_have_text("Eleven deals are open, one closed this morning.")
    shot(page, "12-new-version")
    assert posted(slack)[before:] == []  # saving is no approval
    dialog.get_by_role("button", name="Post to Slack").click()
    expect(dialog.locator(".pg h1 .tag").first).to_have_text("Done", timeout=20_000)
    assert posted(slack)[before:] == ["Eleven deals are *open*, one closed this morning."]


def test_reply_and_reject(visit, slack):
    before, action_id = len(posted(slack)), asked("#sales", "Three deals have gone quiet.")
    page = visit(f"/action?action={action_id}")
    page.get_by_role("button", name="Reply", exact=True).click()
    page.get_by_label("Reply").fill("Name the deals.")
    page.get_by_role("button", name="Send reply").click()
    expect(page.locator(".story").get_by_text("Name the deals.")).to_be_visible()
    page.get_by_role("button", name="Reject", exact=True).click()
    page.get_by_label("Reason").fill("Not today.")
    shot(page, "20-reject")
    page.get_by_role("button", name="Reject", exact=True).click()
    expect(page.locator(".pg h1 .tag").first).to_have_text("Rejected")
    expect(page.locator(".note", has_text="Dave rejected it")).to_be_visible()
    shot(page, "21-rejected")
    assert posted(slack)[before:] == []


def test_a_double_click_is_one_transition_and_one_post(visit, slack):
    before, action_id = len(posted(slack)), asked()
    page = visit(f"/action?action={action_id}")
    page.get_by_role("button", name="Post to Slack", exact=True).dblclick()
    expect(page.locator(".pg h1 .tag").first).to_have_text("Done", timeout=20_000)
    with database.transaction(STAFF) as session:
        assert session.query(ActionDecision).filter_by(action_id=action_id).count() == 1
        transitions = text("SELECT count(*) FROM events WHERE type = 'action.approved' AND subject_id = :id")
        assert session.execute(transitions, {"id": action_id}).scalar_one() == 1
    assert len(posted(slack)[before:]) == 1


def test_two_browsers_at_once_one_wins_and_the_other_sees_who(visit, slack):
    before, action_id = len(posted(slack)), asked()
    dave = visit(f"/action?action={action_id}")
    with database.transaction(STAFF) as session:
        session.query(User).filter_by(name="Brian").one().role = "admin"
    brian = visit(f"/action?action={action_id}", who="brian", dark=True)
    # both press before either page can have learned of the other: the server sees two clicks
    for page in (dave, brian):
        page.route("**/live", lambda route: route.abort())
        expect(page.get_by_role("button", name="Post to Slack", exact=True)).to_be_enabled()
    dave.get_by_role("button", name="Post to Slack", exact=True).click(no_wait_after=True)
    brian.get_by_role("button", name="Post to Slack", exact=True).click(no_wait_after=True)
    expect(brian.locator("[data-testid=stToast]", has_text=re.compile("Dave was first|It is on its way"))).to_be_visible()
    expect(brian.locator(".story").get_by_text("Dave approved")).to_be_visible()
    shot(brian, "30-the-other-sees-who-won")
    with database.transaction(STAFF) as session:
        assert [d.by for d in session.query(ActionDecision).filter_by(action_id=action_id)] == ["Dave"]
    for page in (dave, brian):
        page.unroute("**/live")
        expect(page.locator(".pg h1 .tag").first).to_have_text("Done", timeout=20_000)
    assert len(posted(slack)[before:]) == 1


def test_a_version_that_changed_under_the_hand_is_not_approved(visit, slack):
    before, action_id = len(posted(slack)), asked()
    page = visit(f"/action?action={action_id}")
    page.route("**/live", lambda route: route.abort())  # this browser learns of nothing
    with database.transaction(STAFF) as session:
        tony = Actor("Tony", "user", session.query(User).filter_by(name="Tony").one().id)
        session.query(User).filter_by(name="Tony").one().role = "admin"
        session.flush()
        known = session.get(Action, action_id)
        changes = {"text": "Something else altogether."}
        service.edit(session, action_id, changes, tony, payload_sha256=known.payload_sha256, via="web")
    page.get_by_role("button", name="Post to Slack", exact=True).click()
    expect(page.locator(".post .say")).to_have_text("Something else altogether.")
    assert row(action_id).state == "awaiting_approval"
    assert posted(slack)[before:] == []


def test_several_at_once_from_the_list(visit, slack):
    before = len(posted(slack))
    ids = [asked("#leadership", f"Report {n}.") for n in (1, 2, 3)]
    page = visit("/approvals")
    for action_id in ids[:2]:
        page.locator(f"tr[data-id^='{action_id}.'] td.sel").click()
    button = page.get_by_role("button", name="Approve 2 Slack messages…")
    shot(page, "40-chosen")
    button.click()
    dialog = page.get_by_role("dialog")
    dialog.locator("summary").first.click()
    expect(dialog.locator(".post .say").first).to_have_text("Report 1.")
    shot(page, "41-batch")
    dialog.get_by_role("button", name="Approve 2 Slack messages").click()
    expect(page.locator(f"tr[data-id^='{ids[0]}.']")).to_have_count(0)
    expect(page.locator(f"tr[data-id^='{ids[2]}.']")).to_have_count(1)
    with database.transaction(STAFF) as session:
        assert session.query(ActionDecision).count() == 2
    page.goto(page.url.split("/approvals")[0] + "/approvals?state=done")
    # the notices that told Dave of them are mails of their own
    expect(page.locator("tr[data-id]", has_text="Slack message")).to_have_count(2, timeout=20_000)
    shot(page, "42-done")
    assert sorted(posted(slack)[before:]) == ["Report 1.", "Report 2."]


def test_the_count_in_the_menu_follows(visit):
    page = visit("/runs")
    link = page.locator("[data-testid=stSidebarNavLink]", has_text="Approvals")
    assert link.get_attribute("data-badge") is None
    first = asked()
    expect(link).to_have_attribute("data-badge", "1")
    expect(page.locator("link[rel~=icon]")).to_have_attribute("href", re.compile("mark-waiting"))
    page.keyboard.press("Control+k")
    page.keyboard.type("morning brief")
    expect(page.get_by_role("option", name="Post to #leadership")).to_be_visible()
    shot(page, "50-palette")
    page.keyboard.press("Escape")
    with database.transaction(STAFF) as session:
        service.withdraw(session, first, Actor("CEO Morning Brief", "run"))
    expect(link).not_to_have_attribute("data-badge", re.compile("."))


DEAF = "window.addEventListener('ops:moved', e => {if (!window.hears) e.stopImmediatePropagation()}, true)"


def test_what_came_while_the_page_was_on_its_way_is_counted(visit, profiles):
    profiles(0).once("page", lambda page: page.add_init_script(DEAF))
    page = visit("/runs")
    asked()
    page.evaluate("window.hears = true")  # the first the menu hears of is already past what it was drawn from
    link = page.locator("[data-testid=stSidebarNavLink]", has_text="Approvals")
    expect(link).to_have_attribute("data-badge", "1")


def test_the_keyboard_alone(visit):
    ids = [asked(f"#team-{n}", f"Report {n}.") for n in (1, 2)]
    page = visit("/approvals")
    page.locator("tr[data-id]").first.wait_for()
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(f"action={ids[1]}"))
    expect(page.get_by_role("dialog").get_by_text("Report 2.").first).to_be_visible()
    page.keyboard.press("Escape")
    expect(page).not_to_have_url(re.compile("action="))


def test_the_kill_switch_holds_what_was_approved(visit, slack):
    before, action_id = len(posted(slack)), asked()
    page = visit(f"/action?action={action_id}")
    page.get_by_role("button", name="Stop everything").click()
    dialog = page.get_by_role("dialog", name="Stop what leaves")
    dialog.get_by_label("Why?").fill("Something looks wrong.")
    shot(page, "60-kill-switch")
    dialog.get_by_role("button", name="Stop everything").click()
    expect(page.get_by_role("alert").get_by_text("Something looks wrong.")).to_be_visible()
    page.get_by_role("button", name="Post to Slack", exact=True).click()
    expect(page.locator(".pg h1 .tag").first).to_have_text("Held", timeout=20_000)
    shot(page, "61-held")
    assert posted(slack)[before:] == []


@pytest.mark.parametrize("phone", [False, True])
def test_every_kind_of_item_fits_its_screen(visit, phone):
    seen = {}
    with database.transaction(STAFF) as session:
        changed = [{"key": acts.FACTS[0]["key"], "label": "Open deals", "was": "12 deals", "now": "9 deals"}]
        stale = {"checked_at": clock.now().isoformat(), "changed": changed}
        seen["mail"] = acts.mail(
            session,
            agent="Delivery AI",
            facts=acts.FACTS,
            provenance={"to": {"origin": "trusted", "source": "contact of the client Cornerstone"}},
        ).id
        seen["untrusted"] = acts.mail(
            session,
            to="pay@northwind-billing.example",
            subject="Re: invoice 4711",
            origin="untrusted",
            provenance={"to": {"origin": "untrusted", "source": "web form #118"}},
        ).id
        seen["stale"] = acts.post(session, stale=stale).id
        seen["money"] = acts.put(
            session,
            title="Raise the budget of “Spring launch” to $650 a day",
            target="Campaign 2381",
            payload={"campaign": "Spring launch", "daily_budget": "$650"},
            cost_minor=250_00,
            approvals_needed=2,
        ).id
        unknown = acts.mail(session, state="unknown", account="smtp:3", finished_at=clock.now())
        acts.effect(session, unknown, "unknown", {"what": "send", "outcome": "unclear", "detail": "It hung up."}, vendor="smtp")
        seen["unknown"] = unknown.id
        done = acts.post(session, state="done", mode="live", finished_at=clock.now(), decided_by="Tony", decided_at=clock.now())
        acts.effect(session, done, "done", {"what": "send", "outcome": "applied"})
        seen["done"] = done.id
    page = visit("/approvals", phone=phone)
    page.locator("tr[data-id]").first.wait_for()
    calm_in_both_schemes(page, "70-list", phone)
    base = page.url.split("/approvals")[0]
    for name, action_id in seen.items():
        page.goto(f"{base}/action?action={action_id}")
        page.locator(".story").wait_for()
        calm_in_both_schemes(page, f"71-{name}", phone)


def calm_in_both_schemes(page: Page, name: str, phone: bool) -> None:
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        is_calm(page, jumped=1.0)
        shot(page, f"{name}-{'phone' if phone else 'wide'}-{scheme}")
    page.emulate_media(color_scheme="light")


def test_nothing_in_a_message_runs_or_loads(visit):
    bad = "<img src=x onerror='window.__pwned=1'><script>window.__pwned=1</script> [a](javascript:alert(1)) \u202e"
    with database.transaction(STAFF) as session:
        first = acts.put(session, title=bad, target=bad, reason=bad, payload={"text": bad})
        second = acts.mail(session, text=bad)
        wire = b'{"channel":"#x","text":"<https://e.example/\\"onmouseover=window.__pwned=1|*label*> <javascript:alert(1)|x>"}'
        third = acts.post(session, wire=wire)
        ids = [first.id, second.id, third.id]
    for action_id in ids:
        page = visit(f"/approvals?action={action_id}")
        page.get_by_role("dialog").get_by_text("Exactly what will be sent").wait_for()
        assert page.evaluate("window.__pwned") is None
        assert page.locator("[role=dialog] .msg img, [role=dialog] .msg a, [role=dialog] script").count() == 0


def test_addresses_in_a_tooltip_are_no_links(visit):
    with database.transaction(STAFF) as session:
        title = "Mail to dana@cornerstone.example: see https://evil.example or www.evil.example"
        action_id = acts.mail(session, title=title).id
    page = visit(f"/action?action={action_id}")
    page.get_by_role("button", name="Send the mail").hover()
    tip = page.locator("[data-testid=stTooltipContent]")
    expect(tip).to_contain_text("It cannot be undone.")
    expect(tip.locator("a")).to_have_count(0)


def test_the_drawer_fits_a_phone(visit):
    with database.transaction(STAFF) as session:
        provenance = {"text": {"origin": "trusted", "source": "composed by a template from twelve facts of the run before"}}
        action_id = acts.mail(session, text="Good morning. " * 40, provenance=provenance).id
    page = visit(f"/approvals?action={action_id}", phone=True)
    expect(page.get_by_role("dialog").locator(".story")).to_be_attached()
    edges = "[...document.querySelectorAll('[role=dialog] .card')].map(c => c.getBoundingClientRect().right)"
    page.wait_for_function(f"Math.max(...{edges}) <= 390")  # the drawer slides in, and comes to rest within the screen
