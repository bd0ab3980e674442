"""The gate reads what it counts and no more: an index of what is deferred, and none that leads past the better ones."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_index(
        "actions_deferred", "actions", ["org_id", "kind", "deferred_until"], postgresql_where=sa.text("state = 'deferred'")
    )
    op.drop_index("ix_effects_org_id", table_name="effects")
    op.drop_index("ix_audit_entries_org_id", table_name="audit_entries")


def downgrade() -> None:
    op.create_index("ix_audit_entries_org_id", "audit_entries", ["org_id"])
    op.create_index("ix_effects_org_id", "effects", ["org_id"])
    op.drop_index("actions_deferred", table_name="actions")
