"""Evidence of the robustness checks: each is a stage of its own."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_constraint(op.f("ck_evidence_stage"), "evidence", type_="check")
    op.create_check_constraint(
        op.f("ck_evidence_stage"),
        "evidence",
        "stage IN ('DATA_GATE', 'BACKTEST', 'WALK_FORWARD', 'SENSITIVITY', 'MONTE_CARLO', 'REGIMES', 'COSTS', "
        "'OVERFITTING', 'STRESS', 'BENCHMARK', 'CAPACITY', 'SIMULATION', 'QUALIFICATION', 'SIGN_OFF', 'PROMOTION', "
        "'LIVE')",
    )


def downgrade() -> None:
    """Refused: evidence is never deleted, and the old constraint would not hold for what may be there."""
    raise RuntimeError("this migration is not undone: restore a backup into another database instead")
