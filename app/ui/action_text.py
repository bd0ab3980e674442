"""Text as it will leave, made safe to look at: nothing in it can hide, and nothing of it is taken for our own page."""

import re
import unicodedata
from html.parser import HTMLParser

from app.ui.words import esc

_BLANK = "\u3164\u115f\u1160\uffa0\u2800\u180e"
"""Letters that draw nothing."""
_LINK = re.compile(r"<((?:https?|mailto|tel):[^|>\s]+)(?:\|([^>]*))?>")
_MENTION = re.compile(r"<([!@#])([A-Za-z0-9^_-]+)(?:\|([^>]*))?>")
_BARE = re.compile(r"(?<![\w\">/])(https?://[^\s<>\"']+)")
_LOUD = ("channel", "here", "everyone")


def hidden(text: str) -> list[str]:
    """The invisible characters in a text as `U+202E RIGHT-TO-LEFT OVERRIDE`, each once."""
    found = dict.fromkeys(c for i, c in enumerate(text) if _hides(text, i))
    return [f"U+{ord(c):04X} {unicodedata.name(c, 'control character')}" for c in found]


def _hides(text: str, at: int) -> bool:
    char = text[at]
    if char in "\n\t\r":
        return False
    if char == "\u2060" and at and text[at - 1] == "@":  # our own gap, so that @here calls nobody
        return False
    if char == "\u200d":  # joins emoji; anywhere else it hides
        return at == 0 or unicodedata.category(text[at - 1]) not in ("So", "Sk", "Mn")
    return char in _BLANK or unicodedata.category(char) in ("Cc", "Cf", "Co", "Cs", "Zl", "Zp")


def visible(text: str) -> str:
    """The text as HTML; a character that can't be seen stands there as its number."""
    out = []
    for at, char in enumerate(text):
        if _hides(text, at):
            name = unicodedata.name(char, "control character").lower()
            out.append(f'<mark class="hid" title="{esc(name)}: invisible in the message">U+{ord(char):04X}</mark>')
        else:
            out.append(esc(char))
    return "".join(out)


def flat(text: str) -> str:
    """The text on one line where there is no HTML (lists, toasts); a character that can't be seen stands there as its number."""
    return " ".join("".join(f"⟨U+{ord(c):04X}⟩" if _hides(text, i) else c for i, c in enumerate(text)).split())


def scripts(address: str) -> str | None:
    """What is odd about an address's letters: other scripts that look like Latin ones. None when nothing is."""
    other = {unicodedata.name(c, "?").split(" ")[0].capitalize() for c in address if c.isalpha() and not c.isascii()}
    strange = other - {"Latin"}
    return f"It has {' and '.join(sorted(strange))} letters, which can look like Latin ones." if strange else None


def slack(text: str) -> str:
    """Slack's own markup as HTML: bold, italic, code, links with their whole address, mentions."""
    kept: list[str] = []

    def keep(html: str) -> str:
        kept.append(html)
        return f"\x00{len(kept) - 1}\x00"

    def link(match: re.Match[str]) -> str:
        target, label = match[1], match[2]
        shown = visible(_unescaped(label or target))
        # what a label says and where it leads are two things
        whole = f' <small class="to">→ {visible(_unescaped(target))}</small>' if label and label != target else ""
        return keep(f'<span class="lnk">{shown}</span>{whole}')

    def mention(match: re.Match[str]) -> str:
        sign, name, label = match[1], match[2], match[3]
        loud = sign == "!" and name.split("^")[0] in _LOUD
        word = f"@{name}" if sign == "!" else f"{sign}{label or name}"
        note = ' <small class="to">notifies everybody there</small>' if loud else ""
        return keep(f'<span class="men{" loud" if loud else ""}">{visible(word)}</span>{note}')

    text = text.replace("\x00", "\ufffd")
    text = re.sub(r"```(.*?)```", lambda m: keep(f"<pre>{visible(_unescaped(m[1].strip(chr(10))))}</pre>"), text, flags=re.DOTALL)
    text = re.sub(r"`([^`\n]+)`", lambda m: keep(f"<code>{visible(_unescaped(m[1]))}</code>"), text)
    text = _MENTION.sub(mention, _LINK.sub(link, text))
    html = _keep_marks(visible(_unescaped(text)))
    for mark, tag in (("*", "b"), ("_", "i"), ("~", "s")):
        m = re.escape(mark)
        html = re.sub(rf"(?<![\w{m}]){m}(?=\S)([^{m}\n]*?\S){m}(?![\w{m}])", rf"<{tag}>\1</{tag}>", html)
    html = "<br>".join(_line(x) for x in html.split("\n"))
    return re.sub(r"\x00(\d+)\x00", lambda m: kept[int(m[1])], html)


def _keep_marks(html: str) -> str:
    # `visible` shows our own place holders as hidden characters: bring them back
    zero = re.escape(visible("\x00"))
    return re.sub(rf"{zero}(\d+){zero}", "\x00\\1\x00", html)


def _line(html: str) -> str:
    if html.startswith("&gt; ") or html == "&gt;":
        return f'<span class="quo">{html[4:].strip()}</span>'
    return html


def _unescaped(text: str) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def plain(text: str) -> str:
    """Plain text of a mail as HTML: line breaks kept, addresses in it marked but not clickable."""
    made = visible(text.replace("\r\n", "\n"))
    return _BARE.sub(r'<span class="lnk">\1</span>', made)


class _Reader(HTMLParser):
    """Collects the words of HTML, and where its links lead."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.links: list[tuple[str, str]] = []
        self.images: list[str] = []
        self._skip = 0
        self._href: str | None = None
        self._label = ""
        self._lists: list[int | None] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in ("style", "script", "title", "head"):
            self._skip += tag != "head"
        elif tag in ("p", "div", "br", "li", "tr", "h1", "h2", "h3", "ul", "ol", "table", "hr"):
            self.parts.append("\n")
        if tag in ("ul", "ol"):
            self._lists.append(0 if tag == "ol" else None)
        if tag == "li" and self._lists:
            self.parts.append(self._mark())
        if tag == "a" and given.get("href"):
            self._href, self._label = str(given["href"]), ""
        if tag == "img":
            self.images.append(str(given.get("src") or ""))

    def _mark(self) -> str:
        number = self._lists[-1]
        if number is None:
            return "- "
        self._lists[-1] = number + 1
        return f"{number + 1}. "

    def handle_endtag(self, tag: str) -> None:
        if tag in ("ul", "ol") and self._lists:
            self._lists.pop()
        if tag in ("style", "script", "title"):
            self._skip = max(0, self._skip - 1)
        if tag in ("p", "div", "li", "h1", "h2", "h3", "tr"):
            self.parts.append("\n")
        if tag == "a" and self._href is not None:
            self.links.append((" ".join(self._label.split()), self._href))
            self._href = None

    def handle_data(self, data: str) -> None:
        if not self._skip:
            self.parts.append(data)
            self._label += data


def from_html(html: str) -> tuple[str, list[tuple[str, str]], list[str]]:
    """What an HTML part says: (its words with line breaks, its links as (label, address), its images)."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    words = re.sub(r"[ \t\r\f\v]+", " ", "".join(reader.parts))
    return re.sub(r"\s*\n\s*\n\s*", "\n\n", re.sub(r" ?\n ?", "\n", words)).strip(), reader.links, reader.images


def same_words(one: str, other: str) -> bool:
    """Whether two texts say the same, line breaks and bare addresses aside."""

    def bag(text: str) -> list[str]:
        return re.findall(r"\w+", re.sub(r"https?://\S+", " ", text).lower())

    return bag(one) == bag(other)
