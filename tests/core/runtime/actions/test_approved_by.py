"""Who approved it is one question with one answer, at the decision and at the moment of sending."""

from core.kit.actor import Actor
from core.runtime.actions import service
from core.runtime.actions.models import Decided
from tests.core.runtime.actions.kit import House


def test_what_an_api_key_approved_goes_out(house: House) -> None:
    made = house.propose()
    sha = house.row(made.id).payload_sha256
    house.do(service.decide, made.id, Decided.APPROVE, Actor("Key", "api", 1), payload_sha256=sha, via="api")
    house.carry_out(made.id)
    assert house.row(made.id).state == "done"
