"""The opt-out page, and the one-click POST of RFC 8058: no sign-in, no cookie, no second question.

Opening the page changes nothing, since mail scanners open every link. A bad link always gets the same answer.
"""

from html import escape
from typing import Annotated, Final
from urllib.parse import parse_qs

from fastapi import APIRouter, Path, Request
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.responses import HTMLResponse, Response

from app.edge.limits import Limit, source_of
from app.gateway.body import Body
from core.errors import BadInput, Unavailable
from core.kit import db, log
from core.kit.db import STAFF
from core.runtime.contacts import rules, service

router = APIRouter(include_in_schema=False)
logger = log.get("opt-out")
PER_MINUTE: Final = 300
"""A mail provider may send the one-click requests of many people from one address."""
HEADERS: Final = {
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-robots-tag": "noindex, nofollow",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
}
_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex, nofollow"><meta name="referrer" content="no-referrer"><title>{title}</title>
<style>
:root {{ color-scheme: light dark; --ink: #1c2430; --soft: #5b6675; --paper: #fff; --ground: #f3f5f8; --line: #dfe4ea;
  --act: #1f5fbf; --on-act: #fff }}
@media (prefers-color-scheme: dark) {{ :root {{ --ink: #e8ecf1; --soft: #a3aebb; --paper: #1a212b; --ground: #11161d;
  --line: #2c3643; --act: #6ea8ff; --on-act: #0b1420 }} }}
* {{ box-sizing: border-box }}
body {{ margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 16px; background: var(--ground);
  color: var(--ink); font: 16px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif }}
main {{ width: 100%; max-width: 440px; background: var(--paper); border: 1px solid var(--line);
  border-radius: 12px; padding: 32px }}
h1 {{ margin: 0 0 12px; font-size: 22px; line-height: 1.25 }}
p {{ margin: 0 0 20px; color: var(--soft); overflow-wrap: anywhere }}
p:last-child {{ margin-bottom: 0 }}
b {{ color: var(--ink) }}
button {{ width: 100%; min-height: 48px; border: 0; border-radius: 8px; background: var(--act); color: var(--on-act);
  font: inherit; font-weight: 600; cursor: pointer }}
button:focus-visible {{ outline: 3px solid var(--act); outline-offset: 3px }}
</style></head><body><main>{body}</main></body></html>
"""


Token = Annotated[str, Path(max_length=4000)]


@router.get("/u/{token}")
def show(request: Request, token: Token) -> Response:
    """The page with one button."""
    wait = _limit(request)
    if wait is not None:
        return wait
    try:
        asked = rules.read_opt_out(token)
    except BadInput:
        return _bad()
    except Unavailable:
        return _away()
    return _page(
        "Stop these messages?",
        f"<p><b>{escape(_masked(asked.person))}</b> will get no more messages from us, nor from the companies we write for.</p>"
        '<form method="post"><input type="hidden" name="opt-out" value="yes"><button type="submit">Stop all messages</button>'
        "</form>",
    )


@router.post("/u/{token}")
def opt_out(request: Request, token: Token, body: Body) -> Response:
    """The button, and what mail programs send by themselves: `List-Unsubscribe=One-Click`."""
    wait = _limit(request)
    if wait is not None:
        return wait
    try:
        asked = rules.read_opt_out(token)
        if not _wanted(body, request.headers.get("content-type", "")):
            return _page("Nothing was changed", "<p>Open the link again and use the button.</p>", 400)
        with db.transaction(STAFF) as session:
            service.opt_out(session, asked)
    except BadInput:
        return _bad()
    except (Unavailable, DBAPIError, PoolTimeout) as error:
        logger.error("an opt-out could not be saved", reason=type(error).__name__)
        return _away()
    return _page(
        "You are off the list",
        f"<p><b>{escape(_masked(asked.person))}</b> gets no more messages from us. A message that had left already may still "
        "arrive.</p>",
    )


def _wanted(body: bytes, content_type: str) -> bool:
    text = body[:10_000].decode("utf-8", "replace")
    if content_type.lower().startswith("multipart/form-data"):  # RFC 8058 allows both forms
        squeezed = "".join(text.lower().split())
        return 'name="list-unsubscribe"one-click' in squeezed or 'name="opt-out"yes' in squeezed
    given = {k.lower(): v[0].lower().strip() for k, v in parse_qs(text, max_num_fields=20).items()}
    return given.get("list-unsubscribe") == "one-click" or given.get("opt-out") == "yes"


def _masked(person: str) -> str:
    """Enough to know one's own address by, for whom the mail was passed on to not enough."""
    local, _, domain = person.rpartition("@")
    return f"{local[:2] if len(local) > 3 else local[:1]}…@{domain}"


def _bad() -> Response:
    return _page(
        "This link does not work", "<p>It may have been cut off. Reply to the message and ask to be taken off the list.</p>", 404
    )


def _away() -> Response:
    said = "<p>We could not save that. Please try again in a minute, or reply to the message.</p>"
    return _page("Not saved yet", said, 503, {"retry-after": "60"})


def _page(title: str, body: str, status: int = 200, more: dict[str, str] | None = None) -> Response:
    html = _PAGE.format(title=escape(title), body=f"<h1>{escape(title)}</h1>{body}")
    return HTMLResponse(html, status, HEADERS | (more or {}))


def _limit(request: Request) -> Response | None:
    limit: Limit = request.app.state.opt_out_limit
    wait = limit.wait_s(source_of(request.scope))
    if not wait:
        return None
    return _page("Too many requests", "<p>Please try again in a minute.</p>", 429, {"retry-after": str(int(wait) + 1)})
