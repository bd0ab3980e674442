"""Registers the handler of agent jobs."""

from core.runtime.agents import job
from core.runtime.agents.specs import AGENT_JOB
from core.runtime.runs import handlers
from core.runtime.runs.handlers import Handler
from core.runtime.runs.models import Queue

handlers.register(Handler(AGENT_JOB, job.run, Queue.AGENTS, timeout_s=600))
