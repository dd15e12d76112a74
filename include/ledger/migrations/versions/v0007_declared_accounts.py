"""Deployments on paper and on declared accounts; real money only where somebody has said so."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

KINDS = "venue_kind IN ('REPLAY', 'SANDBOX', 'PAPER', 'EXCHANGE')"
REAL_MONEY = "NOT real_money OR (mode = 'LIVE' AND venue_kind = 'EXCHANGE')"


def upgrade() -> None:
    op.drop_constraint(op.f("ck_deployments_venue_kind"), "deployments", type_="check")
    op.create_check_constraint(op.f("ck_deployments_venue_kind"), "deployments", KINDS)
    op.add_column("deployments", sa.Column("real_money", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.create_check_constraint(op.f("ck_deployments_real_money"), "deployments", REAL_MONEY)


def downgrade() -> None:
    """Refused: the old constraint would not hold for what may be there."""
    raise RuntimeError("this migration is not undone: restore a backup into another database instead")
