"""Does the bot token work?"""

from collections.abc import Mapping
from typing import Any

from core.integrations.slack.client import Slack


def check(config: Mapping[str, Any], secret: str) -> str:
    """One sentence that says whose token it is. Raises NotApplied or NoAnswer with one that says what is wrong."""
    who = Slack(secret).who()
    return f"Works: “{who['user']}” in the workspace {who['team']}."
