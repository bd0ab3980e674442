"""The policies, in the order people read them. Each is pure: it sees a frozen situation and its own numbers, nothing else."""

from core.runtime.policies.registry import Policy, register
from core.runtime.policies.rules.approvals import APPROVAL_KINDS, TWO_PEOPLE
from core.runtime.policies.rules.contact import CONTACT_CEILING, SUPPRESSION
from core.runtime.policies.rules.modes import SEND_MODE
from core.runtime.policies.rules.money import MONEY_CEILINGS
from core.runtime.policies.rules.origin import UNTRUSTED_ORIGIN
from core.runtime.policies.rules.rates import RATE_LIMIT
from core.runtime.policies.rules.stops import KILL_SWITCH, ORGANISATION_ENABLED
from core.runtime.policies.rules.tasks import HUMAN_TASKS
from core.runtime.policies.rules.texts import SENSITIVE_PATTERNS
from core.runtime.policies.rules.who import AGENT_KINDS, PERSON_ASKED

ALL: tuple[Policy, ...] = (
    KILL_SWITCH,
    ORGANISATION_ENABLED,
    AGENT_KINDS,
    PERSON_ASKED,
    HUMAN_TASKS,
    SENSITIVE_PATTERNS,
    UNTRUSTED_ORIGIN,
    SUPPRESSION,
    CONTACT_CEILING,
    SEND_MODE,
    APPROVAL_KINDS,
    RATE_LIMIT,
    MONEY_CEILINGS,
    TWO_PEOPLE,
)

for _policy in ALL:
    register(_policy)
