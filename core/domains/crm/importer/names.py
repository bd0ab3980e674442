"""One spelling for one thing: "GTXPro" and "GTX Pro" are the same product. Pure."""

import re
from collections.abc import Iterable, Mapping


def product_key(name: str) -> str:
    """What is left of a product name when case, spaces and punctuation between letters are taken away."""
    return re.sub(r"[\s_\-./]+", "", name.casefold())


def plain_key(name: str) -> str:
    """A name without case and extra spaces: enough for people and companies, whose hyphens are their own."""
    return " ".join(name.casefold().split())


class Spellings:
    """Chooses the spelling to store: the one already known, else the one the file uses most."""

    def __init__(self, known: Iterable[str], in_file: Mapping[str, int], *, loose: bool) -> None:
        self._key = product_key if loose else plain_key
        self._chosen: dict[str, str] = {}
        self._memo: dict[str, str] = {}
        for name in known:
            self._chosen.setdefault(self._key(name), name)
        self.known = frozenset(self._chosen)
        for name, _times in sorted(in_file.items(), key=lambda item: (-item[1], item[0])):
            self._chosen.setdefault(self._key(name), name)

    def of(self, name: str) -> str:
        """The spelling of `name` to store."""
        found = self._memo.get(name)
        if found is None:
            found = self._memo[name] = self._chosen.get(self._key(name), name)
        return found

    def changed(self, in_file: Iterable[str]) -> dict[str, str]:
        """Spellings of the file that are stored differently."""
        return {name: self.of(name) for name in in_file if self.of(name) != name}

    def new(self, in_file: Iterable[str]) -> int:
        """How many different names of the file were not known before."""
        return len({self._key(n) for n in in_file} - self.known)
