"""Column shorthands shared by every `models.py`, so that a column means the same in each table."""

import enum
from datetime import datetime
from typing import Annotated, Any

from sqlalchemy import BigInteger, CheckConstraint, DateTime, Identity, String, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import mapped_column

Id = Annotated[int, mapped_column(BigInteger, Identity(always=False), primary_key=True)]
Big = Annotated[int, mapped_column(BigInteger)]
Instant = Annotated[datetime, mapped_column(DateTime(timezone=True))]
CreatedAt = Annotated[datetime, mapped_column(DateTime(timezone=True), server_default=text("clock_timestamp()"))]
Json = Annotated[dict[str, Any], mapped_column(JSONB, server_default=text("'{}'"))]
JsonList = Annotated[list[Any], mapped_column(JSONB, server_default=text("'[]'"))]
Currency = Annotated[str, mapped_column(String(3), server_default=text("'USD'"))]
Demo = Annotated[bool, mapped_column(server_default=text("false"))]


def one_of(column: str, words: type[enum.StrEnum]) -> CheckConstraint:
    """A check constraint: `column` holds one of the enum's values."""
    allowed = ", ".join(f"'{w.value}'" for w in words)
    return CheckConstraint(f"{column} IN ({allowed})", name=f"{column}_known")
