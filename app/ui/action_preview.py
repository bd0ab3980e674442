"""What will be sent, as it will look. Everything here is read from the final bytes, never from what they were made of.

What a preview has no place for stands below it as "also part of it": nothing is sent that is not shown.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from app.ui import action_text, words
from app.ui.action_text import visible
from core.runtime.actions.kinds import ActionKind

LONG = 4000
NOBODY = ' <span class="tag c-violet">stands in: no mail account is connected</span>'
Marks = Mapping[str, str]
"""Payload field to the chip that says where its value came from, as HTML."""


@dataclass(slots=True)
class Preview:
    """`html` as it will look; `rest` what is sent besides, as (name, HTML); `warnings` in sentences."""

    html: str
    rest: list[tuple[str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def of(kind: ActionKind | None, name: str, wire: bytes, marks: Marks | None = None) -> Preview:
    """The preview of an action's bytes; a kind nobody drew a picture for is shown as a list of its fields."""
    marks = marks or {}
    data = _json(wire)
    made: Preview | None = None
    if isinstance(data, dict):
        if name.startswith("slack.") and "channel" in data and ("text" in data or "blocks" in data):
            made = _slack(data, marks)
        elif name.startswith("mail.") and "to" in data and "subject" in data:
            made = _mail(_Letter.of_json(data), marks)
    elif name.startswith("mail.") and (letter := _Letter.of_bytes(wire)) is not None:
        made = _mail(letter, marks)
    if made is None:
        made = _fields(kind, name, data, wire, marks)
    made.warnings += _warnings(wire)
    return made


def raw(wire: bytes) -> str:
    """The final bytes as text a person can read; bytes that are no text as hexadecimal."""
    try:
        text = wire.decode()
    except UnicodeDecodeError:
        return wire.hex(" ", 2)
    data = _json(wire)
    return json.dumps(data, indent=2, ensure_ascii=False) if isinstance(data, dict | list) else text


def _json(wire: bytes) -> Any:
    try:
        return json.loads(wire)
    except (ValueError, RecursionError):
        return None


def _warnings(wire: bytes) -> list[str]:
    data = _json(wire)
    text = json.dumps(data, ensure_ascii=False) if data is not None else wire.decode(errors="replace")
    found = action_text.hidden(text)
    if not found:
        return []
    more = f" and {len(found) - 1} more" if len(found) > 1 else ""
    return [f"It has characters nobody can see: {found[0]}{more}. They are marked below."]


def _table(rows: list[tuple[str, str]]) -> str:
    return '<dl class="hd">' + "".join(f"<dt>{visible(k)}</dt><dd>{v}</dd>" for k, v in rows) + "</dl>"


# ---- Slack


def _slack(data: dict[str, Any], marks: Marks) -> Preview:
    made = Preview("")
    blocks = data.get("blocks")
    text = str(data.get("text") or "")
    drawn = "".join(_block(b, made) for b in (blocks if isinstance(blocks, list) else ()) if isinstance(b, dict))
    body = drawn or action_text.slack(text)
    if drawn and text:
        made.rest.append(("Text in notifications", visible(text)))
    name = str(data.get("username") or "ManageAI Ops")
    channel = str(data["channel"])
    shown = (
        channel if channel.startswith("#") else f"Direct message to {channel}" if channel[:1] in "UD" else f"Channel {channel}"
    )
    made.html = (
        f'<figure class="msg slackmsg"><figcaption><span class="chn">{visible(shown)}</span>{marks.get("channel", "")}'
        f'<small>Slack</small></figcaption><div class="post"><span class="ava" aria-hidden="true">{visible(name[:1])}</span>'
        f'<div><b class="who">{visible(name)}</b><span class="app">APP</span><div class="say">{body}</div></div></div></figure>'
    )
    known = {"channel", "text", "blocks", "username"}
    made.rest += [(_name(k), _value(v)) for k, v in data.items() if k not in known]
    loud = [w for w in ("channel", "here", "everyone") if f"<!{w}" in json.dumps(data)]
    if loud:
        made.warnings.append(f"It notifies everybody in the channel (@{loud[0]}).")
    return made


def _block(block: dict[str, Any], made: Preview) -> str:
    kind = block.get("type")
    if kind == "header":
        return f"<h4>{visible(str((block.get('text') or {}).get('text', '')))}</h4>"
    if kind == "divider":
        return "<hr>"
    if kind == "section":
        parts = [block["text"]] if isinstance(block.get("text"), dict) else []
        parts += [f for f in block.get("fields") or [] if isinstance(f, dict)]
        other = {k: v for k, v in block.items() if k not in ("type", "text", "fields", "block_id")}
        made.rest += [(_name(k), _value(v)) for k, v in other.items()]
        return "".join(f"<p>{_slack_text(p)}</p>" for p in parts)
    if kind == "context":
        inside = " ".join(_slack_text(e) for e in block.get("elements") or [] if isinstance(e, dict))
        return f'<p class="ctx">{inside}</p>'
    if kind == "actions":
        return "".join(_button(e) for e in block.get("elements") or [] if isinstance(e, dict))
    made.rest.append((f"Block “{kind}”", _value(block)))
    return ""


def _button(element: dict[str, Any]) -> str:
    text = element.get("text")
    label = visible(str(text.get("text", "") if isinstance(text, dict) else element.get("action_id", "")))
    leads = element.get("url") or (f"reports “{element.get('action_id')}” {element.get('value') or ''}".strip())
    return f'<span class="sbtn">{label}</span> <small class="to">→ {visible(str(leads))}</small> '


def _slack_text(element: dict[str, Any]) -> str:
    text = str(element.get("text", ""))
    return action_text.slack(text) if element.get("type") == "mrkdwn" else visible(text).replace("\n", "<br>")


# ---- mail


@dataclass(slots=True)
class _Letter:
    """A mail, whoever carries it."""

    headers: list[tuple[str, str, str]]
    """(name, value, payload field it is made of)."""
    subject: str
    text: str
    html: str
    other: list[tuple[str, str]]

    @classmethod
    def of_json(cls, data: dict[str, Any]) -> "_Letter":
        names = (("From", "from", "from"), ("To", "to", "to"), ("Cc", "cc", "cc"), ("Bcc", "bcc", "bcc"),
                 ("Reply-To", "reply_to", "reply_to"))  # fmt: skip
        headers = [(label, _people(data[key]), of) for label, key, of in names if data.get(key)]
        own = {"from", "to", "cc", "bcc", "reply_to", "subject", "text", "html", "headers"}
        other = [(k, str(v)) for k, v in (data.get("headers") or {}).items()]
        other += [
            (_name(k), v if isinstance(v, str) else json.dumps(v, ensure_ascii=False)) for k, v in data.items() if k not in own
        ]
        return cls(headers, str(data["subject"]), str(data.get("text") or ""), str(data.get("html") or ""), other)

    @classmethod
    def of_bytes(cls, wire: bytes) -> "_Letter | None":
        message = message_from_bytes(wire, policy=policy.default)
        if not isinstance(message, EmailMessage) or "To" not in message:
            return None
        main = ("From", "To", "Cc", "Bcc", "Reply-To")
        headers = [(n, str(message[n]), n.lower().replace("-", "_")) for n in main if n in message]
        text, html, other = "", "", []
        for part in message.walk():
            if part.is_multipart():
                continue
            if part.get_content_type() == "text/plain" and not text and not part.is_attachment():
                text = str(part.get_content())
            elif part.get_content_type() == "text/html" and not html and not part.is_attachment():
                html = str(part.get_content())
            else:
                other.append(("Attachment", f"{part.get_filename() or 'unnamed'} ({part.get_content_type()})"))
        skipped = {*(n.lower() for n in main), "subject", "content-type", "content-transfer-encoding", "mime-version"}
        other += [(n, str(v)) for n, v in message.items() if n.lower() not in skipped]
        return cls(headers, str(message["Subject"] or ""), text, html, other)


def _people(value: Any) -> str:
    return ", ".join(str(v) for v in value) if isinstance(value, list) else str(value)


def _mail(letter: _Letter, marks: Marks) -> Preview:
    made = Preview("")
    rows = [
        (name, f"{visible(value)}{NOBODY if value.endswith('@invalid') else ''}{marks.get(of, '')}")
        for name, value, of in letter.headers
    ]
    text = letter.text
    if letter.html:
        said, links, images = action_text.from_html(letter.html)
        if not text:
            text = said
        elif not action_text.same_words(text, said):
            made.rest.append(("HTML part says", f'<div class="say">{action_text.plain(said)}</div>'))
            made.warnings.append("Its HTML part says something else than its text part. Both are shown.")
        made.rest += [
            ("Link", f"{visible(label or target)} → {visible(target)}") for label, target in links if target not in text
        ]
        made.rest += [("Picture", visible(source)) for source in images]
    made.html = (
        f'<figure class="msg mailmsg"><figcaption>{_table(rows)}<small>Mail</small></figcaption>'
        f"<h4>{visible(letter.subject) or '<i>no subject</i>'}{marks.get('subject', '')}</h4>"
        f'<div class="say">{action_text.plain(text)}</div></figure>'
    )
    made.rest += [(name, visible(words.short(value, 600))) for name, value in letter.other]
    for name, value, _ in letter.headers:
        if name in ("To", "Cc", "Bcc") and (odd := action_text.scripts(value)):
            made.warnings.append(f"Look at {name}: {odd}")
    return made


# ---- anything else


def _fields(kind: ActionKind | None, name: str, data: Any, wire: bytes, marks: Marks) -> Preview:
    word = kind.word if kind else _name(name)
    if not isinstance(data, dict):
        body = f'<div class="say mono">{visible(raw(wire)[:LONG])}</div>'
        return Preview(f'<figure class="msg"><figcaption><small>{visible(word)}</small></figcaption>{body}</figure>')
    labels = {f.name: f.label for f in kind.fields} if kind else {}
    order = [*(k for k in labels if k in data), *(k for k in data if k not in labels)]
    rows = [(labels.get(k) or _name(k), f"{_value(data[k])}{marks.get(k, '')}") for k in order]
    return Preview(f'<figure class="msg"><figcaption><small>{visible(word)}</small></figcaption>{_table(rows)}</figure>')


def _name(key: str) -> str:
    return key.replace("_", " ").replace(".", " ").strip().capitalize()


_WORDS: dict[type, Callable[[Any], str]] = {bool: lambda v: "yes" if v else "no", type(None): lambda _: "–"}


def _value(value: Any) -> str:
    if type(value) in _WORDS:
        return _WORDS[type(value)](value)
    if isinstance(value, list) and value and all(isinstance(v, str | int | float) for v in value):
        return "<br>".join(visible(str(v)) for v in value)
    if isinstance(value, dict | list):
        return f"<code>{visible(json.dumps(value, ensure_ascii=False))}</code>" if value else "none"
    if isinstance(value, str):
        local = words.from_iso(value) if 9 < len(value) < 40 else value
        return f'<span class="pre">{visible(value)}</span>' + (f" <small>({words.esc(local)})</small>" if local != value else "")
    return visible(str(value))
