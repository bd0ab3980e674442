"""What holds for the payload of every kind of action."""

import pytest

from core import registry
from core.runtime.actions import kinds
from tests.faults.cases import SAMPLES

registry.load()


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_what_was_read_once_can_be_read_again(name: str) -> None:
    """As an edit does, and rendering it for another account: also with everything left out that may be."""
    kind = kinds.get(name)
    whole = SAMPLES[name](1)
    needed = {f for f, field in kind.schema.model_fields.items() if field.is_required()}
    for payload in (whole, {k: v for k, v in whole.items() if k in needed}):
        stored = kind.read(payload).model_dump(mode="json")
        assert kind.read(stored).model_dump(mode="json") == stored
