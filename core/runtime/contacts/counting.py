"""What counts as having reached somebody, and when: for the ceilings of policies and for the page of a contact alike.

Both are SQL about an effect `e`, beside a row `moment` that says what time it is (`now`).
"""

from typing import Final

AT: Final = """coalesce(e.finished_at, CASE WHEN e.state = 'unknown' THEN least(moment.now, coalesce(
    (SELECT max(c.at) + interval '2 minutes' FROM effect_calls c WHERE c.effect_id = e.id), e.intent_at)) END, moment.now)"""
"""When it counts: at its end; now while it is under way, since the vendor may get it at any moment. Nobody knows when one with an
unknown end arrived, but not later than two minutes after its last call began."""
COUNTS: Final = "NOT e.dry_run AND e.state <> 'failed' AND (e.finished_at IS NOT NULL OR e.first_sent_at IS NOT NULL)"
"""Whether it counts: it was sent, or may have been."""
