"""Does the API token work?"""

from collections.abc import Mapping
from typing import Any

from core.config import get_settings
from core.integrations.pipedrive.client import Pipedrive


def check(config: Mapping[str, Any], secret: str) -> str:
    """One sentence that says what the token sees. Raises BadToken, RateLimited, Unreachable or Malformed."""
    with Pipedrive(get_settings().pipedrive_base_url, secret, timeout_s=6.0) as pipedrive:
        people, stages = len(pipedrive.users()), len(pipedrive.stages())
    return f"Works: it sees {people:,} users and {stages:,} stages."
