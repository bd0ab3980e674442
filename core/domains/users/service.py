"""Commands on users: who they are and what they may do. Sign-in is in `signin`, API keys are in `keys`.

Names from those two are repeated here, so that callers need one module.
"""

from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.domains.users import passwords, queries, rules
from core.domains.users.errors import LastAdmin
from core.domains.users.keys import ApiCaller, NewKey, authenticate_key, create_key, revoke_key
from core.domains.users.models import Role, User
from core.domains.users.queries import CurrentUser
from core.domains.users.signin import (
    SignIn,
    create_login_link,
    judge,
    open_session,
    redeem_link,
    resolve_session,
    revoke_links,
    revoke_sessions,
    sign_in,
    sign_out,
    sweep,
)
from core.errors import Conflict
from core.kit.actor import SYSTEM, Actor
from core.runtime.events import service as events
from core.runtime.orgs.models import AGENCY_ID

__all__ = [
    "ApiCaller", "CurrentUser", "NewKey", "SignIn", "add", "authenticate_key", "change_password", "create_key",
    "create_login_link", "disable", "enable", "ensure_first_admin", "redeem_link", "resolve_session", "revoke_key",
    "revoke_sessions", "set_password", "set_role", "set_slack", "sign_in", "sign_out", "sweep",
]  # fmt: skip

_ADMINS_LOCK = 7210002
FIRST_ADMIN = ("Dave", "dave@manageai.example")


def add(
    session: Session,
    email: str,
    name: str,
    role: Role | str,
    *,
    by: Actor = SYSTEM,
    password: str | None = None,
    demo: bool = False,
) -> int:
    """Add a person and return their id. Without a password they sign in by one-time link.

    Raises BadInput, and Conflict when the address is taken.
    """
    email, name, role = rules.clean_email(email), rules.clean_name(name), rules.clean_role(role)
    hashed = None
    if password is not None:
        rules.check_password(password, email=email, name=name)
        hashed = passwords.hash_password(password)
    user_id = session.execute(
        insert(User)
        .values(org_id=AGENCY_ID, email=email, name=name, role=role, password_hash=hashed, demo=demo)
        .on_conflict_do_nothing(constraint="users_email")
        .returning(User.id)
    ).scalar_one_or_none()
    if user_id is None:
        raise Conflict(f"{email} is already a user.", f"`ops users link {email}` prints a sign-in link.")
    _tell(session, "user.added", f"{by.label} added {name} ({rules.ROLE_WORDS[role]}).", user_id, by)
    return user_id


def set_role(session: Session, who: int | str, role: Role | str, *, by: Actor = SYSTEM) -> None:
    """Give a person another role; it holds from their next click. Raises UnknownUser, BadInput, LastAdmin."""
    role = rules.clean_role(role)
    user = _locked(session, who)
    if user.role == role:
        return
    if user.role == Role.ADMIN:
        _keep_an_admin(session, user.id)
    user.role = role
    session.flush()
    _tell(session, "user.role_changed", f"{by.label} made {user.name} {rules.ROLE_WORDS[role]}.", user.id, by)


def disable(session: Session, who: int | str, *, by: Actor = SYSTEM) -> None:
    """Lock a person out at once: sessions and links end. Raises UnknownUser, LastAdmin."""
    user = _locked(session, who)
    if user.disabled_at is not None:
        return
    if user.role == Role.ADMIN:
        _keep_an_admin(session, user.id)
    session.execute(update(User).where(User.id == user.id).values(disabled_at=func.clock_timestamp()))
    revoke_sessions(session, user.id)
    revoke_links(session, user.id)
    _tell(session, "user.disabled", f"{by.label} disabled {user.name}.", user.id, by)


def enable(session: Session, who: int | str, *, by: Actor = SYSTEM) -> None:
    """Let a disabled person in again; they need a new link or their password. Raises UnknownUser."""
    user = _locked(session, who)
    if user.disabled_at is None:
        return
    user.disabled_at = None
    session.flush()
    _tell(session, "user.enabled", f"{by.label} enabled {user.name}.", user.id, by)


def set_slack(session: Session, who: int | str, slack_user_id: str | None, *, by: Actor = SYSTEM) -> None:
    """Whose clicks on Slack's buttons are this person's; None unlinks. Raises UnknownUser, BadInput, Conflict when taken."""
    wanted = rules.clean_slack(slack_user_id) if slack_user_id else None
    user = _locked(session, who)
    if user.slack_user_id == wanted:
        return
    if wanted is not None:
        # two at once: the second one waits for the first, and finds it taken
        session.execute(text("SELECT pg_advisory_xact_lock(hashtext(:id))"), {"id": f"slack:{wanted}"})
        taken = session.execute(select(User.name).where(User.slack_user_id == wanted)).scalar_one_or_none()
        if taken is not None:
            raise Conflict(f"That Slack account is {taken}'s.", f"Unlink it there first, then link it to {user.name}.")
    user.slack_user_id = wanted
    session.flush()
    done = f"linked {user.name} to the Slack account {wanted}" if wanted else f"unlinked {user.name} from Slack"
    _tell(session, "user.slack_linked", f"{by.label} {done}.", user.id, by)


def set_password(session: Session, who: int | str, password: str, *, by: Actor = SYSTEM) -> None:
    """Set a password; every signed-in browser of theirs is signed out. Raises UnknownUser, BadInput."""
    user = _locked(session, who)
    rules.check_password(password, email=user.email, name=user.name)
    user.password_hash = passwords.hash_password(password)
    session.flush()
    revoke_sessions(session, user.id)
    _tell(session, "user.password_set", f"{by.label} set a new password for {user.name}.", user.id, by)


def change_password(session: Session, user_id: int, current: str, new: str, *, user_agent: str | None = None) -> SignIn:
    """A person sets their own password: the current one must fit if there is one. Signs them in anew, here only.

    Commit whatever comes back. Raises BadInput when the new one is too weak.
    """
    user = _locked(session, user_id)
    if user.password_hash is not None:
        judged = judge(session, user.email, current, f"own:{user_id}", known_browser=True)
        if isinstance(judged, SignIn):
            if judged.throttled:
                return judged
            return SignIn(sentence="That is not your current password.", next_step="Try again, or sign in by a one-time link.")
    who = CurrentUser(user.id, user.name, user.email, Role(user.role))
    set_password(session, user.id, new, by=who.actor)
    signed_in, token = open_session(session, user, user_agent, "with a new password")
    return SignIn(user=signed_in, token=token)


def ensure_first_admin(session: Session) -> int:
    """The id of an admin who can sign in: the oldest one, or Dave, created now, when there is none."""
    session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _ADMINS_LOCK})
    found = session.execute(
        select(User.id).where(User.role == Role.ADMIN, User.disabled_at.is_(None)).order_by(User.demo, User.id).limit(1)
    ).scalar_one_or_none()
    if found is not None:
        return found
    name, email = FIRST_ADMIN
    return add(session, email, name, Role.ADMIN)


def _locked(session: Session, who: int | str) -> User:
    user = queries.find(session, who)
    session.refresh(user, with_for_update=True)
    return user


def _keep_an_admin(session: Session, user_id: int) -> None:
    # two admins who demote each other at the same moment must not both succeed
    session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _ADMINS_LOCK})
    others = select(func.count()).where(User.role == Role.ADMIN, User.disabled_at.is_(None), User.id != user_id)
    if session.execute(others).scalar_one() == 0:
        raise LastAdmin


def _tell(session: Session, type: str, summary: str, user_id: int, by: Actor) -> None:
    events.publish(session, type, summary, actor=by, subject=("user", user_id))
