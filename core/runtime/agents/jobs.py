"""Registers the handlers of agent jobs, of rewriting after a reply and of looking whether facts changed."""

from core.runtime.actions import followers
from core.runtime.agents import job, revise, staleness
from core.runtime.agents.specs import AGENT_JOB
from core.runtime.runs import handlers
from core.runtime.runs.handlers import Handler
from core.runtime.runs.models import Queue

handlers.register(Handler(AGENT_JOB, job.run, Queue.AGENTS, timeout_s=600))
handlers.register(Handler(revise.REVISE, revise.run, Queue.AGENTS, timeout_s=300))
handlers.register(Handler(staleness.CHECK, staleness.run, Queue.BACKGROUND, timeout_s=300, keep_days=2))
followers.register("", revise.follow)
