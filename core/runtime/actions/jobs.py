"""The runs that carry actions out."""

from core.runtime.actions.effects import MAX_UNCLEAR, perform
from core.runtime.actions.proposing import EXECUTE
from core.runtime.runs import handlers
from core.runtime.runs.handlers import Handler
from core.runtime.runs.models import Queue

handlers.register(Handler(EXECUTE, perform, queue=Queue.INTERACTIVE, timeout_s=120, max_attempts=3 * MAX_UNCLEAR))
