"""Profiles by content: a deployment is judged by what it was declared under, wherever that file lies now."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "profiles",
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column(
            "recorded_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_profiles")),
    )
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON profiles "
        "FOR EACH STATEMENT EXECUTE FUNCTION airlock_append_only()"
    )


def downgrade() -> None:
    """Refused: deployments could no longer be judged by what they were declared under."""
    raise RuntimeError("this migration is not undone: restore a backup into another database instead")
