"""Our markdown as Slack's mrkdwn, as HTML and as plain text. Whatever a text holds, it mentions nobody and loads nothing.

Supported: # headings, - and 1. lists, **bold**, *italic*, `code`, [text](https://…). All else is shown as it is written.
"""

import html
import re
import unicodedata
from collections.abc import Callable
from typing import Final

from core.config import get_settings

_KEPT_CONTROLS: Final = "\n\t"
# they turn the reading direction around, so that a text reads other than it is
_TURNING = re.compile("[\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c]")
_EVERYBODY = re.compile(r"@(?=(?:here|channel|everyone|group)\b)", re.IGNORECASE)
_INLINE = re.compile(
    r"`(?P<code>[^`\n]+)`|\*\*(?P<bold>[^*\n]+)\*\*|(?<![\w*])\*(?P<italic>[^*\n]+)\*(?![\w*])"
    r"|\[(?P<label>[^\]\n]+)\]\((?P<url>https?://[^\s()<>\"|]+)\)"
)
_HEADING = re.compile(r"#{1,6}\s+(?P<text>.+)")
_ITEM = re.compile(r"(?P<indent>\s*)(?P<mark>[-*•]|\d{1,3}[.)])\s+(?P<text>.+)")

Shown = Callable[[str, str], str]
"""(kind of mark, text without its marks) to how it is written. A link's text is "label\\nurl"."""


def clean(text: str) -> str:
    """Without characters that can't be seen and mean something all the same. Line ends are \\n."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\u2028", "\n").replace("\u2029", "\n")
    text = _TURNING.sub("", text)
    return "".join(c for c in text if c in _KEPT_CONTROLS or unicodedata.category(c) not in ("Cc", "Cs", "Co", "Cn"))


def first_line(text: str, most: int = 80) -> str:
    """The first line with something on it, without marks, shortened for a title."""
    line = next((x for x in map(str.strip, clean(text).split("\n")) if x), "")
    heading = _HEADING.fullmatch(line)
    plain = _inline(heading["text"] if heading else line, lambda _kind, inner: inner.split("\n")[0], lambda t: t)
    return plain if len(plain) <= most else plain[: most - 1].rstrip() + "…"


def _inline(line: str, shown: Shown, escaped: Callable[[str], str]) -> str:
    made, at = [], 0
    for match in _INLINE.finditer(line):
        made.append(escaped(line[at : match.start()]))
        kind = str(match.lastgroup)
        made.append(shown("link", f"{match['label']}\n{match['url']}") if kind == "url" else shown(kind, match[kind]))
        at = match.end()
    return "".join(made) + escaped(line[at:])


def _ours(url: str) -> bool:
    """Whether a link leads to this app: only such a link may hide behind a text."""
    ours = get_settings().public_url
    return bool(ours) and (url == ours or url.startswith(f"{str(ours).rstrip('/')}/"))


# ---- Slack


def slack_escaped(text: str) -> str:
    """Characters that mean something to Slack as themselves, and a gap in what would call everybody."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _EVERYBODY.sub("@\u2060", text)


def slack_text(text: str) -> str:
    """The text as mrkdwn."""
    return "\n".join(_slack_line(line) for line in clean(text).split("\n"))


def _slack_line(line: str) -> str:
    heading = _HEADING.fullmatch(line.strip())
    if heading:
        bare = _inline(heading["text"], lambda kind, inner: _slack_plain(kind, inner), slack_escaped)
        return f"*{bare.strip('* ')}*"
    item = _ITEM.fullmatch(line)
    if item:
        mark = "•" if item["mark"] in "-*•" else item["mark"]
        return f"{item['indent']}{mark} {_inline(item['text'], _slack_shown, slack_escaped)}"
    return _inline(line, _slack_shown, slack_escaped)


def _slack_plain(kind: str, inner: str) -> str:
    return _slack_shown(kind, inner) if kind == "link" else slack_escaped(inner)


def _slack_shown(kind: str, inner: str) -> str:
    if kind == "link":
        label, url = inner.split("\n")
        if _ours(url):
            return f"<{url.replace('&', '&amp;')}|{slack_escaped(label).replace('|', '¦')}>"
        return f"{slack_escaped(label)} ({slack_escaped(url)})"
    sign = {"bold": "*", "italic": "_", "code": "`"}[kind]
    return f"{sign}{slack_escaped(inner)}{sign}"


# ---- mail


def mail_html(text: str, footer: str = "") -> str:
    """The text as a small HTML document without styles from elsewhere, images or scripts. `footer` is plain text."""
    blocks: list[str] = []
    for chunk in re.split(r"\n\s*\n", clean(text).strip("\n")):
        blocks += _html_blocks(chunk.split("\n"))
    if footer:
        small = _html_lines(footer)
        blocks.append(f'<p style="color:#667085;font-size:13px;border-top:1px solid #e4e7ec;padding-top:12px">{small}</p>')
    style = "font-family:Helvetica,Arial,sans-serif;font-size:15px;line-height:1.5;color:#101828;max-width:640px"
    body = "\n".join(blocks)
    return (
        f'<!doctype html>\n<html><head><meta charset="utf-8"></head><body><div style="{style}">\n{body}\n</div></body></html>\n'
    )


def _html_blocks(lines: list[str]) -> list[str]:
    blocks: list[str] = []
    plain: list[str] = []
    items: list[tuple[str, str]] = []

    def flush() -> None:
        if plain:
            blocks.append("<p>" + "<br>\n".join(plain) + "</p>")
            plain.clear()
        if items:
            tag = items[0][0]
            blocks.append(f"<{tag}>" + "".join(f"<li>{text}</li>" for _, text in items) + f"</{tag}>")
            items.clear()

    for line in lines:
        heading, item = _HEADING.fullmatch(line.strip()), _ITEM.fullmatch(line)
        if heading:
            flush()
            blocks.append(f"<h3>{_inline(heading['text'], _html_shown, html.escape)}</h3>")
        elif item:
            tag = "ul" if item["mark"] in "-*•" else "ol"
            if plain or (items and items[0][0] != tag):
                flush()
            items.append((tag, _inline(item["text"], _html_shown, html.escape)))
        elif line.strip():
            if items:
                flush()
            plain.append(_inline(line.strip(), _html_shown, html.escape))
    flush()
    return blocks


def _html_shown(kind: str, inner: str) -> str:
    if kind == "link":
        label, url = inner.split("\n")
        return f"{html.escape(label)} ({_anchor(url)})"
    tag = {"bold": "strong", "italic": "em", "code": "code"}[kind]
    return f"<{tag}>{html.escape(inner)}</{tag}>"


def _anchor(url: str) -> str:
    safe = html.escape(url, quote=True)
    return f'<a href="{safe}">{safe}</a>'


def _html_lines(text: str) -> str:
    """Plain text with its links made clickable."""
    parts = re.split(r"(https?://[^\s<>\"]+)", text)
    linked = (_anchor(p) if n % 2 else html.escape(p) for n, p in enumerate(parts))
    return "".join(linked).replace("\n", "<br>\n")


def mail_text(text: str, footer: str = "") -> str:
    """The text as plain text: the marks of bold and headings go, links show where they lead."""
    lines = []
    for line in clean(text).strip("\n").split("\n"):
        heading = _HEADING.fullmatch(line.strip())
        lines.append(_inline(heading["text"] if heading else line, _text_shown, lambda t: t).rstrip())
    return "\n".join(lines) + (f"\n\n-- \n{footer}" if footer else "") + "\n"


def _text_shown(kind: str, inner: str) -> str:
    if kind == "link":
        label, url = inner.split("\n")
        return f"{label} ({url})"
    return inner
