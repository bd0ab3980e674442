"""A wait that comes to nothing says what it waited for."""

import pytest

from tests.tools.waiting import until


def test_it_gives_what_became_true() -> None:
    turns = iter([0, [], "here"])
    assert until(lambda: next(turns), 5, step_s=0) == "here"


@pytest.mark.parametrize(("what", "said"), [("the clock beats", "the clock beats"), ("", "never_so")])
def test_it_says_what_it_waited_for(what: str, said: str) -> None:
    def never_so() -> bool:
        return False

    with pytest.raises(AssertionError, match=f"not within 0.01 s: .*{said}"):
        until(never_so, 0.01, what)
