"""What the demo reads from Airflow's task states."""

import pytest

from include.operations.demo_state import RUNGS, current_task


def test_every_task_of_the_ladder_has_a_rung_that_people_know() -> None:
    assert set(RUNGS.values()) == {"data gate", "backtest", "simulation", "qualification", "sign-offs", "promotion"}


@pytest.mark.parametrize(
    ("states", "task"),
    [
        ({}, ""),
        ({"data_gate": "none"}, ""),
        ({"data_gate": "queued"}, "data_gate"),
        ({"data_gate": "success", "backtest": "running"}, "backtest"),
        ({"backtest": "success", "wait_for_simulation": "deferred"}, "wait_for_simulation"),
        ({"sign_off_project_lead": "success", "sign_off_mlops_engineer": "awaiting_input"}, "sign_off_mlops_engineer"),
        ({"backtest": "failed", "start_simulation": "upstream_failed"}, ""),
    ],
)
def test_the_current_task_is_the_first_one_at_work(states: dict[str, str], task: str) -> None:
    assert current_task(states) == task
