"""What Alembic runs: the connection is handed over in the configuration's attributes, transaction included."""

from __future__ import annotations

from alembic import context

from include.ledger.models import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
context.run_migrations()
