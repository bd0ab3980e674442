"""Sign-in, one-time links, sign-out and password, as plain Starlette routes beside the dashboard.

The gate has already checked the origin of every POST, and the body guard its size and pace.
"""

from collections.abc import Callable
from typing import TypeVar
from urllib.parse import parse_qs

import anyio
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from app.auth import cookies, pages, paths
from app.auth.gate import resolve
from core.domains.users import queries
from core.domains.users import service as users
from core.domains.users.errors import LinkDead
from core.domains.users.signin import SignIn
from core.errors import BadInput, OpsError, Unavailable
from core.kit import db
from core.kit.db import STAFF

T = TypeVar("T")

_HASHERS = 2
"""Password checks at once: each takes 19 MiB and a core for some 50 ms."""
_MAX_WAITING = 40
_lane: anyio.CapacityLimiter | None = None


async def _aside(work: Callable[[], T]) -> T:
    """Run database or hashing work off the event loop, a few at a time; refuses when too many wait already."""
    global _lane
    if _lane is None:
        _lane = anyio.CapacityLimiter(_HASHERS)
    if _lane.statistics().tasks_waiting >= _MAX_WAITING:
        raise Unavailable("Too many people are signing in at this moment.", "Try again in a few seconds.")
    return await anyio.to_thread.run_sync(work, limiter=_lane)


async def _form(request: Request) -> dict[str, str]:
    """The fields of a plain form, first value each. Raises BadInput."""
    try:
        pairs = parse_qs((await request.body()).decode(), keep_blank_values=True, max_num_fields=20)
    except ValueError:
        raise BadInput("The form could not be read.", "Open the page again and retry.") from None
    return {name: values[0] for name, values in pairs.items()}


def _source(request: Request) -> str:
    return request.client.host if request.client else "unknown"


def _guarded(handler: Callable) -> Callable:  # type: ignore[type-arg]
    """A database that is away, or a form that is none, becomes a page and not a traceback."""

    async def guarded(request: Request) -> Response:
        try:
            answer: Response = await handler(request)
        except Unavailable as error:
            return pages.unavailable(error)
        except BadInput as error:
            return pages.refused("That did not work", error.message, error.next_step, 400)
        return answer

    return guarded


async def sign_in_page(request: Request) -> Response:
    """GET /auth/sign-in?next=PATH"""
    wanted = paths.local_path(request.query_params.get("next"))
    if await resolve(cookies.session_of(request.scope)):
        return RedirectResponse(wanted, 303)
    bye = ("You are signed out.", "", "good") if "bye" in request.query_params else None
    return pages.sign_in(wanted, note=bye)


async def sign_in(request: Request) -> Response:
    """POST /auth/sign-in"""
    form = await _form(request)
    email, wanted = form.get("email", ""), paths.local_path(form.get("next"))
    browser = cookies.known_browser(request.scope, email)
    source = f"browser:{browser}" if browser else _source(request)

    def work() -> SignIn:
        with db.transaction(STAFF) as session:
            return users.sign_in(
                session, email, form.get("password", ""), source,
                known_browser=browser is not None, user_agent=request.headers.get("user-agent"),
            )  # fmt: skip

    done = await _aside(work)
    if done.user is None or done.token is None:
        note = (done.sentence, done.next_step, "bad")
        return pages.sign_in(wanted, email=email[:254], note=note, status=429 if done.throttled else 401)
    return await _welcome(request, done.user.email, done.token, wanted)


async def link_page(request: Request) -> Response:
    """GET /auth/link?token=TOKEN: shows a button and changes nothing."""
    token = request.query_params.get("token", "")
    return pages.link(token) if 0 < len(token) <= 100 else _dead(LinkDead())


async def redeem(request: Request) -> Response:
    """POST /auth/link"""
    token = (await _form(request)).get("token", "")

    def work() -> tuple[users.CurrentUser, str]:
        with db.transaction(STAFF) as session:
            return users.redeem_link(session, token, request.headers.get("user-agent"))

    try:
        user, session_token = await _aside(work)
    except LinkDead as error:
        return _dead(error)
    return await _welcome(request, user.email, session_token, paths.HOME)


def _dead(error: OpsError) -> Response:
    return pages.refused("This link no longer works", error.message, error.next_step, 410)


async def _welcome(request: Request, email: str, token: str, wanted: str) -> Response:
    await _end_session(request)  # whoever was signed in on this browser before is not any more
    answer = RedirectResponse(wanted, 303, {"cache-control": "no-store"})
    cookies.set_session(answer, request.scope, token)
    cookies.mark_browser(answer, request.scope, email)
    return answer


async def _end_session(request: Request) -> None:
    old = cookies.session_of(request.scope)

    def work() -> None:
        with db.transaction(STAFF) as session:
            users.sign_out(session, old)

    if old:
        await _aside(work)


async def sign_out_page(request: Request) -> Response:
    """GET /auth/sign-out: shows a button."""
    return pages.sign_out()


async def sign_out(request: Request) -> Response:
    """POST /auth/sign-out"""
    await _end_session(request)
    answer = RedirectResponse(f"{paths.SIGN_IN}?bye=1", 303, {"cache-control": "no-store"})
    cookies.clear_session(answer, request.scope)
    return answer


async def password_page(request: Request) -> Response:
    """GET /auth/password: for whoever is signed in."""
    user = await resolve(cookies.session_of(request.scope))
    if user is None:
        return RedirectResponse(paths.SIGN_IN, 303)
    return pages.password(user.email, has_one=await _aside(lambda: _has_password(user.id)))


def _has_password(user_id: int) -> bool:
    with db.transaction(STAFF) as session:
        return queries.has_password(session, user_id)


async def set_password(request: Request) -> Response:
    """POST /auth/password"""
    user = await resolve(cookies.session_of(request.scope))
    if user is None:
        return RedirectResponse(paths.SIGN_IN, 303)
    form = await _form(request)

    def work() -> SignIn:
        with db.transaction(STAFF) as session:
            current, new, agent = form.get("current", ""), form.get("new", ""), request.headers.get("user-agent")
            return users.change_password(session, user.id, current, new, user_agent=agent)

    try:
        done = await _aside(work)
    except BadInput as error:
        done = SignIn(sentence=error.message, next_step=error.next_step)
    if done.token is None:
        has_one = await _aside(lambda: _has_password(user.id))
        return pages.password(user.email, has_one=has_one, note=(done.sentence, done.next_step, "bad"), status=400)
    return await _welcome(request, user.email, done.token, paths.HOME)


routes = [
    Route(paths.SIGN_IN, _guarded(sign_in_page), methods=["GET"]),
    Route(paths.SIGN_IN, _guarded(sign_in), methods=["POST"]),
    Route(paths.LINK, _guarded(link_page), methods=["GET"]),
    Route(paths.LINK, _guarded(redeem), methods=["POST"]),
    Route(paths.SIGN_OUT, _guarded(sign_out_page), methods=["GET"]),
    Route(paths.SIGN_OUT, _guarded(sign_out), methods=["POST"]),
    Route(paths.PASSWORD, _guarded(password_page), methods=["GET"]),
    Route(paths.PASSWORD, _guarded(set_password), methods=["POST"]),
]
