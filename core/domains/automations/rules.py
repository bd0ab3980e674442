"""What an automation saves and when it worries us; each figure stands here once."""

MINUTES_PER_TASK = 2
"""Assumed time a person would have needed for one automated task. An assumption, never shown as a measurement."""
LOADED_HOUR_MINOR = 50_00
"""Assumed loaded cost of an hour of work, in US cents; used only where a text says so."""
ERROR_SHARE_PERCENT = 5.0
"""A month with a larger share of failed runs is worth a word in the report."""


def tasks_done(runs: int, errors: int) -> int:
    """Runs that ended well."""
    return max(0, runs - errors)


def hours_saved(tasks: int) -> float:
    """Assumed hours saved by that many tasks, to one decimal."""
    return round(tasks * MINUTES_PER_TASK / 60, 1)


def error_percent(runs: int, errors: int) -> float | None:
    """Share of runs that failed, in percent to one decimal; None without runs."""
    return round(100 * errors / runs, 1) if runs else None
