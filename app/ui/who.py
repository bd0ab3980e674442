"""The signed-in person for drawing: asked from the database once in each script run, fragment run and callback phase.

Anything that changes something asks `require` or `current_user` itself, right where it acts.
"""

from streamlit.runtime.scriptrunner import get_script_run_ctx

from app.auth.current import current_user
from core.domains.users.service import CurrentUser


def me() -> CurrentUser:
    """The person as the database had them when this run began. The frame, the page and its live part share one question."""
    context = get_script_run_ctx()
    if context is None:
        return current_user()
    # a new run of the script or of a fragment begins with new cursors, so what was kept in an old run is never used
    kept = getattr(context, "_ops_person", None)
    if kept is None or kept[0] is not context.cursors:
        kept = (context.cursors, current_user())
        context._ops_person = kept  # type: ignore[attr-defined]
    person: CurrentUser = kept[1]
    return person
