"""Sign-in: passwords with throttling, one-time links, and server-side sessions.

Only SHA-256 hashes of session and link tokens are stored. All times are the database's own.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, text, update
from sqlalchemy.orm import Session

from core.domains.users import passwords, queries, rules
from core.domains.users.errors import LinkDead, UserDisabled
from core.domains.users.models import LoginAttempt, LoginLink, Role, User, UserSession
from core.domains.users.queries import CurrentUser
from core.runtime.events import service as events
from core.runtime.orgs.models import AGENCY_ID

WRONG = ("That address and password don't fit together.", "Try again, or use a one-time link: `ops users link EMAIL` prints one.")


@dataclass(frozen=True, slots=True)
class SignIn:
    """How a sign-in ended: with a user and a session token, or with a sentence and a next step.

    It is a value and not an exception, since a wrong guess has to be committed to be counted.
    """

    user: CurrentUser | None = None
    token: str | None = None
    sentence: str = ""
    next_step: str = ""
    throttled: bool = False


def create_login_link(session: Session, who: int | str, ttl_minutes: int = rules.LINK_MINUTES) -> str:
    """A one-time sign-in token for a person, by id or address; put it into /auth/link?token=. Earlier links stop working.

    Raises UnknownUser, UserDisabled.
    """
    user = queries.find(session, who)
    if user.disabled_at is not None:
        raise UserDisabled(user.email)
    revoke_links(session, user.id)
    token = rules.new_token()
    session.add(
        LoginLink(
            org_id=AGENCY_ID,
            user_id=user.id,
            token_hash=rules.hash_token(token),
            expires_at=func.clock_timestamp() + func.make_interval(0, 0, 0, 0, 0, ttl_minutes),
            demo=user.demo,
        )
    )
    session.flush()
    return token


def redeem_link(session: Session, token: str, user_agent: str | None = None) -> tuple[CurrentUser, str]:
    """Sign in by link: (the user, a session token). Works once, whoever comes first. Raises LinkDead."""
    # one conditional UPDATE: of any number of redeemers at once exactly one gets the row
    user_id = session.execute(
        update(LoginLink)
        .where(
            LoginLink.token_hash == rules.hash_token(token),
            LoginLink.used_at.is_(None),
            LoginLink.expires_at > func.clock_timestamp(),
        )
        .values(used_at=func.clock_timestamp())
        .returning(LoginLink.user_id)
    ).scalar_one_or_none()
    user = session.get(User, user_id) if user_id is not None else None
    if user is None or user.disabled_at is not None:
        raise LinkDead
    # a person who came in by link is no guesser: forget wrong passwords for the address
    session.execute(delete(LoginAttempt).where(LoginAttempt.email == user.email))
    return open_session(session, user, user_agent, "by a one-time link")


def sign_in(
    session: Session,
    email: str,
    password: str,
    source: str,
    *,
    known_browser: bool = False,
    user_agent: str | None = None,
    limits: rules.Limits = rules.LIMITS,
) -> SignIn:
    """Sign in by password. Commit whatever comes back: a wrong guess is counted.

    `source` is where it came from (an IP address, or a known browser's own id); `known_browser` says that this
    browser has signed in to this address before. An unknown address gets the same sentence in the same time.
    """
    judged = judge(session, email, password, source, known_browser=known_browser, limits=limits)
    if isinstance(judged, SignIn):
        return judged
    current, token = open_session(session, judged, user_agent, "with a password")
    return SignIn(user=current, token=token)


def judge(
    session: Session, email: str, password: str, source: str, *, known_browser: bool, limits: rules.Limits = rules.LIMITS
) -> User | SignIn:
    """The user whom address and password fit, or why not. Counts a wrong guess; commit it."""
    address = rules.looks_like_email(email) or ""
    source = source[:100]
    # one at a time per address and per source, or twenty guesses at once would all pass the count
    for subject in (f"address:{address}", f"source:{source}"):
        session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:subject, 7210003))"), {"subject": subject})
    failed = _failures(session, address, source, limits)
    if rules.must_wait(failed, known_browser=known_browser, limits=limits):
        return _wait(address, limits)
    user = session.execute(select(User).where(User.email == address)).scalar_one_or_none() if address else None
    stored = user.password_hash if user is not None and user.disabled_at is None else None
    fits = len(password) <= rules.MAX_PASSWORD and passwords.verify(stored, password)
    if user is None or not fits:
        session.add(LoginAttempt(email=address[:254], source=source))
        session.flush()
        return SignIn(sentence=WRONG[0], next_step=WRONG[1])
    session.execute(delete(LoginAttempt).where(LoginAttempt.email == address, LoginAttempt.source == source))
    if stored and passwords.outdated(stored):
        user.password_hash = passwords.hash_password(password)
    return user


def _wait(address: str, limits: rules.Limits) -> SignIn:
    minutes = max(1, limits.window_s // 60)
    return SignIn(
        sentence="There were too many wrong passwords.",
        next_step=f"Wait {minutes} minutes, or use a one-time link now: `ops users link {address or 'EMAIL'}` prints one.",
        throttled=True,
    )


def _failures(session: Session, address: str, source: str, limits: rules.Limits) -> rules.Failures:
    recent = LoginAttempt.at > func.statement_timestamp() - func.make_interval(0, 0, 0, 0, 0, 0, limits.window_s)
    is_address, is_source = LoginAttempt.email == address, LoginAttempt.source == source
    pair, by_source, by_address = session.execute(
        select(_count(and_(is_address, is_source)), _count(is_source), _count(is_address)).where(
            recent, or_(is_address, is_source)
        )
    ).one()
    return rules.Failures(pair, by_source, by_address)


def _count(where: ColumnElement[bool]) -> ColumnElement[int]:
    return func.count().filter(where)


def open_session(session: Session, user: User, user_agent: str | None, how: str) -> tuple[CurrentUser, str]:
    """A new session for a person who has proved who they are: (the user, the session token)."""
    token = rules.new_token()
    session.add(
        UserSession(
            org_id=AGENCY_ID,
            user_id=user.id,
            token_hash=rules.hash_token(token),
            expires_at=func.clock_timestamp() + func.make_interval(0, 0, 0, rules.SESSION_DAYS),
            user_agent=(user_agent or "")[:300] or None,
            demo=user.demo,
        )
    )
    session.flush()
    current = CurrentUser(user.id, user.name, user.email, Role(user.role))
    events.publish(session, "user.signed_in", f"{user.name} signed in {how}.", actor=current.actor, subject=("user", user.id))
    return current, token


def resolve_session(session: Session, token: str | None) -> CurrentUser | None:
    """Who the token belongs to, read anew: role, disabled and expiry as they are now. None when it is no good."""
    if not token or len(token) > 100:
        return None
    row = session.execute(
        select(
            User.id, User.name, User.email, User.role,
            (func.coalesce(User.last_seen_at, User.created_at) < func.clock_timestamp() - text("interval '1 minute'"))
            .label("stale"),
            User.last_seen_at.is_(None).label("new"),
        )
        .join(UserSession, UserSession.user_id == User.id)
        .where(
            UserSession.token_hash == rules.hash_token(token),
            UserSession.revoked_at.is_(None),
            UserSession.expires_at > func.clock_timestamp(),
            User.disabled_at.is_(None),
        )
    ).one_or_none()  # fmt: skip
    if row is None:
        return None
    if row.stale or row.new:
        _touch(session, row.id)
    return CurrentUser(row.id, row.name, row.email, Role(row.role))


def _touch(session: Session, user_id: int) -> None:
    # two fragments at once: the one that finds the row locked leaves it be
    free = select(User.id).where(User.id == user_id).with_for_update(skip_locked=True).scalar_subquery()
    session.execute(update(User).where(User.id == free).values(last_seen_at=func.clock_timestamp()))


def sign_out(session: Session, token: str | None) -> None:
    """End the session of this token, if it is one."""
    if token:
        _revoke(session, UserSession.token_hash == rules.hash_token(token))


def revoke_sessions(session: Session, user_id: int) -> int:
    """Sign a person out everywhere; returns how many sessions ended."""
    return _revoke(session, UserSession.user_id == user_id)


def _revoke(session: Session, which: ColumnElement[bool]) -> int:
    done: Any = session.execute(
        update(UserSession).where(which, UserSession.revoked_at.is_(None)).values(revoked_at=func.clock_timestamp())
    )
    return int(done.rowcount)


def revoke_links(session: Session, user_id: int) -> None:
    """Make a person's unused links useless."""
    session.execute(
        update(LoginLink).where(LoginLink.user_id == user_id, LoginLink.used_at.is_(None)).values(used_at=func.clock_timestamp())
    )


def sweep(session: Session) -> None:
    """Forget wrong guesses of yesterday, and sessions and links that ended more than 30 days ago."""
    yesterday = func.clock_timestamp() - text("interval '1 day'")
    month = func.clock_timestamp() - text("interval '30 days'")
    session.execute(delete(LoginAttempt).where(LoginAttempt.at < yesterday))
    session.execute(delete(UserSession).where(UserSession.expires_at < month))
    session.execute(delete(LoginLink).where(LoginLink.expires_at < month))
