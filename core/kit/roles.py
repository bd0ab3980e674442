"""The two roles of the database."""

from typing import Final

APP_ROLE: Final = "ops_app"
"""Owns nothing and can't bypass row-level security: what the app works as."""
OWNER_ROLE: Final = "ops_owner"
"""Owns the embedded database: migrations and backups."""
