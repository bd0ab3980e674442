"""Builds a section fact by fact: each call adds a fact under the section's key and returns how a line cites it."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from core.runtime.agents import facts
from core.runtime.agents.facts import Fact, Section

Rows = Sequence[Mapping[str, Any]]


class SectionBuilder:
    """`query` and `href` are the section's defaults; a fact may name its own. Names are unique inside the section."""

    def __init__(self, key: str, title: str, *, query: str, href: str, params: Mapping[str, Any] | None = None) -> None:
        self._key, self._title = key, title
        self._query, self._href, self._params = query, href, dict(params or {})
        self._facts: dict[str, Fact] = {}
        self._lines: list[str] = []

    def count(
        self, name: str, label: str, value: int, rows: Rows = (), *, noun: str = "", query: str | None = None,
        href: str | None = None, row_count: int | None = None,
    ) -> str:  # fmt: skip
        """A whole number; see `facts.count`."""
        return self._add(
            facts.count(
                self._name(name), label, value, query or self._query, rows, noun=noun, row_count=row_count,
                params=self._params, href=href or self._href,
            )
        )  # fmt: skip

    def money(
        self, name: str, label: str, minor: int, rows: Rows = (), *, currency: str, query: str | None = None,
        href: str | None = None, row_count: int | None = None,
    ) -> str:  # fmt: skip
        """An amount in minor units."""
        return self._add(
            facts.money(
                self._name(name), label, minor, query or self._query, rows, currency=currency, row_count=row_count,
                params=self._params, href=href or self._href,
            )
        )  # fmt: skip

    def percent(
        self, name: str, label: str, value: float | None, rows: Rows = (), *, query: str | None = None, href: str | None = None
    ) -> str:
        """A share: 12.3 means 12.3 %."""
        return self._add(
            facts.percent(
                self._name(name), label, value, query or self._query, rows, params=self._params, href=href or self._href
            )
        )

    def duration(
        self, name: str, label: str, value: float, unit: str, rows: Rows = (), *, query: str | None = None,
        href: str | None = None,
    ) -> str:  # fmt: skip
        """A length of time in "days" or "hours"."""
        return self._add(
            facts.duration(
                self._name(name), label, value, unit, query or self._query, rows, params=self._params, href=href or self._href
            )
        )

    def text(
        self, name: str, label: str, value: str, rows: Rows = (), *, query: str | None = None, href: str | None = None
    ) -> str:
        """A name or another text from a record."""
        return self._add(
            facts.text(self._name(name), label, value, query or self._query, rows, params=self._params, href=href or self._href)
        )

    def day(
        self, name: str, label: str, value: date, rows: Rows = (), *, query: str | None = None, href: str | None = None
    ) -> str:
        """A calendar day."""
        return self._add(
            facts.day(self._name(name), label, value, query or self._query, rows, params=self._params, href=href or self._href)
        )

    def line(self, said: str) -> None:
        """Add a sentence, or a list item that starts with "- ". Digits only inside citations."""
        self._lines.append(said)

    def build(self) -> Section:
        """The finished section."""
        return Section(self._key, self._title, tuple(self._facts.values()), tuple(self._lines))

    def _name(self, name: str) -> str:
        return f"{self._key}.{name}"

    def _add(self, fact: Fact) -> str:
        if fact.key in self._facts:
            raise ValueError(f"two facts called {fact.key!r}")
        self._facts[fact.key] = fact
        return f"[[{fact.key}]]"
