"""States of actions in words, for sentences."""

from typing import Final

from core.runtime.actions.models import ActionState

FATE: Final = {
    ActionState.PROPOSED: "being judged",
    ActionState.DENIED: "denied",
    ActionState.DEFERRED: "deferred",
    ActionState.AWAITING: "waiting for approval",
    ActionState.APPROVED: "approved",
    ActionState.EXECUTING: "being carried out",
    ActionState.DONE: "done",
    ActionState.FAILED: "failed",
    ActionState.UNKNOWN: "unknown: nobody knows whether it happened",
    ActionState.DISMISSED: "dismissed",
    ActionState.UNDONE: "undone",
}
