"""Ports: taken when free, exchanged when busy, insisted on only by people."""

import socket

import pytest

from include.domain.errors import ConfigurationError
from include.operations.addresses import LOOPBACK, choose_port, free_port, is_free


@pytest.fixture
def busy() -> int:
    with socket.socket() as server:
        server.bind((LOOPBACK, 0))
        server.listen()
        yield server.getsockname()[1]


def test_a_free_port_is_taken_as_wanted() -> None:
    port = free_port()
    assert is_free(port)
    assert choose_port(port, setting="X", chosen_by_user=True) == port


def test_a_busy_default_gives_another_port(busy: int) -> None:
    port = choose_port(busy, setting="X", chosen_by_user=False)
    assert port != busy
    assert is_free(port)


def test_a_busy_port_that_a_person_set_is_refused_by_name(busy: int) -> None:
    with pytest.raises(ConfigurationError, match=rf"AIRLOCK_AIRFLOW_PORT={busy}: port {busy} .* is in use"):
        choose_port(busy, setting="AIRLOCK_AIRFLOW_PORT", chosen_by_user=True)


def test_zero_asks_for_any_port() -> None:
    assert is_free(choose_port(0, setting="X", chosen_by_user=False))


def test_a_port_promised_to_another_server_of_the_stack_is_not_given_twice() -> None:
    port = free_port()
    assert choose_port(port, setting="X", chosen_by_user=False, taken=frozenset({port})) != port
