"""The runs that send notifications."""

from core.runtime.notifications.sending import DIGEST, digest, tell
from core.runtime.notifications.service import TELL
from core.runtime.runs import handlers
from core.runtime.runs.handlers import Handler
from core.runtime.runs.models import Queue

handlers.register(Handler(TELL, tell, queue=Queue.INTERACTIVE, timeout_s=60, inline=True))
handlers.register(Handler(DIGEST, digest, timeout_s=60, inline=True))
