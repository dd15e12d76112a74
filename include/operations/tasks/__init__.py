"""What the DAGs' tasks call: one function a task, ids in, an id out. Running any of them twice changes nothing more.

Each function loads what it needs by id, calls one use-case of `include.stages` or `include.trading`, and tells people.
"""

from include.operations.tasks.battery import battery_blocks, measure_battery
from include.operations.tasks.deciding import build_sign_off_question, promote, verify_sign_offs
from include.operations.tasks.going_live import build_release_question, check_go_live, emergency_stop, release
from include.operations.tasks.ingesting import CheckedPartition, check_partition, ingest_partition, plan_ingestion
from include.operations.tasks.measuring import (
    check_qualification,
    measure_backtest,
    measure_data,
    measure_simulation,
    start_simulation,
)
from include.operations.tasks.routine import build_daily_report

__all__ = [
    "CheckedPartition",
    "battery_blocks",
    "build_daily_report",
    "build_release_question",
    "build_sign_off_question",
    "check_go_live",
    "check_partition",
    "check_qualification",
    "emergency_stop",
    "ingest_partition",
    "measure_backtest",
    "measure_battery",
    "measure_data",
    "measure_simulation",
    "plan_ingestion",
    "promote",
    "release",
    "start_simulation",
    "verify_sign_offs",
]
