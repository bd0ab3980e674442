"""The fixture `house` for this folder."""

from tests.core.runtime.actions.kit import house

__all__ = ["house"]
