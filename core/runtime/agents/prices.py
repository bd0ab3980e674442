"""What a model costs, in US dollars per million tokens, which is the same as millionths of a dollar per token."""

from dataclasses import dataclass

AS_OF = "2026-11-21"
"""Day the table was last compared with the public price list (https://platform.claude.com/docs/en/about-claude/pricing)."""


@dataclass(frozen=True, slots=True)
class Price:
    """`assumed` says that the model is not in the table and the dearest price is used, so that budgets hold."""

    input: float
    output: float
    assumed: bool = False

    def cost(self, input_tokens: int, output_tokens: int) -> int:
        """Millionths of a dollar, rounded up."""
        return -int(-(input_tokens * self.input + output_tokens * self.output) // 1)


_PRICES = {
    "claude-fable-5": Price(10, 50),
    "claude-mythos-5": Price(10, 50, assumed=True),
    "claude-opus-5-5": Price(4, 20),
    "claude-opus-5": Price(5, 25),
    "claude-opus-4": Price(15, 75, assumed=True),
    "claude-sonnet-5": Price(2, 10),
    "claude-sonnet-4": Price(3, 15),
    "claude-haiku-4-5": Price(1, 5),
}
_DEAREST = Price(15, 75, assumed=True)
_NO_EFFORT = ("claude-haiku-4", "claude-sonnet-4-5", "claude-opus-4-0", "claude-opus-4-1")


def of(model: str) -> Price:
    """The price of `model`: of the longest name in the table that it starts with, else the dearest, marked assumed."""
    match = max((name for name in _PRICES if model.startswith(name)), key=len, default=None)
    return _PRICES[match] if match else _DEAREST


def takes_effort(model: str) -> bool:
    """Whether the model takes an effort level; asking an older one for it is an error."""
    return model.startswith("claude-") and not model.startswith(_NO_EFFORT)
