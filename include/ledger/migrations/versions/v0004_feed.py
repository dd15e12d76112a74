"""What an engine has counted about its feed travels with its heartbeat, and so survives the engine."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("heartbeats", sa.Column("feed", postgresql.JSONB(), nullable=True))


def downgrade() -> None:
    """Refused: what running engines have counted would be lost."""
    raise RuntimeError("this migration is not undone: restore a backup into another database instead")
