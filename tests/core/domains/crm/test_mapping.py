# ruff: noqa: E501  (tables of cases and of expected rows read best with one case a line)
import pytest

from core.domains.crm.importer import mapping, stages
from core.errors import BadInput


def guessed(*header: str) -> dict[str, str]:
    return {key: header[index] for key, (index, _) in mapping.guess(header, []).items()}


def test_exports_of_the_usual_crms_are_understood():
    hubspot = guessed(
        "Record ID", "Deal Name", "Deal Stage", "Pipeline", "Amount", "Close Date", "Create Date", "Deal owner",
        "Last Activity Date", "Associated Company",
    )  # fmt: skip
    assert hubspot == {
        "external_id": "Record ID", "title": "Deal Name", "stage": "Deal Stage", "value": "Amount", "closed": "Close Date",
        "opened": "Create Date", "owner": "Deal owner", "last_activity": "Last Activity Date", "account": "Associated Company",
    }  # fmt: skip
    salesforce = guessed("Id", "Name", "StageName", "CloseDate", "Amount", "Account.Name", "Owner.Name", "CreatedDate")
    assert salesforce == {
        "external_id": "Id", "title": "Name", "stage": "StageName", "closed": "CloseDate", "value": "Amount",
        "account": "Account.Name", "owner": "Owner.Name", "opened": "CreatedDate",
    }  # fmt: skip
    pipedrive = guessed(
        "Deal - ID", "Deal - Title", "Deal - Value", "Deal - Currency of Value", "Deal - Organization", "Deal - Stage",
        "Deal - Status", "Deal - Won time", "Deal - Lost time", "Deal - Expected close date", "Deal - Probability",
    )  # fmt: skip
    assert pipedrive["status"] == "Deal - Status"
    assert pipedrive["won_at"] == "Deal - Won time"
    assert pipedrive["currency"] == "Deal - Currency of Value"
    assert "Deal - Probability" not in pipedrive.values()


def test_values_contradict_a_misleading_name_and_settle_an_unknown_one():
    header = ["x1", "x2", "value", "close date"]
    sample = [
        ["A-1", "Won", "Cornerstone", "10/3/2026"],
        ["A-2", "Negotiation", "Northwind", "11/3/2026"],
        ["A-3", "Lost", "", ""],
    ]
    found = {key: (header[i], why) for key, (i, why) in mapping.guess(header, sample).items()}
    assert found["external_id"] == ("x1", "its values")
    assert found["stage"] == ("x2", "its values")
    assert "value" not in found
    assert found["closed"][0] == "close date"


def test_a_person_wins_over_the_guess_and_may_leave_a_field_out():
    header = ["id", "stage", "phase", "owner"]
    sample = [["1", "Won", "Lost", "Tony"]]
    columns, uses = mapping.decide(header, sample, {"stage": "phase", "owner": ""})
    assert (columns["stage"], "owner" in columns) == (2, False)
    assert next(u.why for u in uses if u.field == "stage") == "you said so"


@pytest.mark.parametrize(
    ("header", "wanted", "message"),
    [
        (["name", "amount"], {}, "looks like the deal id or the stage"),
        (["id", "stage"], {"stage": "nope"}, "has no column “nope”"),
        (["id", "stage"], {"colour": "id"}, "There is no field “colour”"),
        (["id", "stage", "stage"], {}, "“stage” more than once (columns 2 and 3)"),
        (["id", "Stage", "stage"], {"stage": "STAGE"}, "more than once"),
    ],
)
def test_what_can_not_be_mapped_is_one_sentence(header, wanted, message):
    with pytest.raises(BadInput) as caught:
        mapping.decide(header, [["1"] * len(header)], wanted)
    assert message in caught.value.message
    assert caught.value.next_step


def test_a_doubled_column_nobody_needs_does_no_harm():
    columns, _ = mapping.decide(["id", "stage", "note", "note"], [["1", "Won", "", ""]], {})
    assert columns == {"external_id": 0, "stage": 1}


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("Won", "won"), ("Closed Won", "won"), ("closedwon", "open"), ("Lost", "lost"), ("Closed - Lost", "lost"),
        ("No decision", "lost"), ("Negotiation", "open"), ("Disqualified", "lost"), ("Wonderful idea", "open"), ("Verloren", "lost"),
    ],
)  # fmt: skip
def test_what_a_stage_counts_as(name, status):
    assert stages.guess_status(name) == status


def test_stages_come_in_the_order_deals_go_through_them():
    found = {n: stages.guess_status(n) for n in ("Won", "Engaging", "Lost", "Prospecting", "Proposal sent")}
    assert stages.in_order([], found) == ["Prospecting", "Engaging", "Proposal sent", "Won", "Lost"]
    numbered = dict.fromkeys(("2. Demo", "10. Zeta", "1. New"), "open")
    assert stages.in_order([], numbered) == ["1. New", "2. Demo", "10. Zeta"]
    strange = dict.fromkeys(("Blue", "Amber"), "open")
    assert stages.in_order([], strange) == ["Blue", "Amber"]
    assert stages.in_order([], strange, ("Amber", "Blue")) == ["Amber", "Blue"]


def test_a_new_stage_finds_its_place_between_known_ones():
    known = [("Lead in", "open"), ("Proposal", "open"), ("Won", "won")]
    assert stages.in_order(known, {"Demo": "open", "Lost": "lost"}) == ["Lead in", "Demo", "Proposal", "Won", "Lost"]
