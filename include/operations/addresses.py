"""Loopback addresses of the local stack's servers."""

from __future__ import annotations

import socket

from include.domain.errors import ConfigurationError

LOOPBACK = "127.0.0.1"


def is_free(port: int) -> bool:
    """True when a server could listen on the loopback port now. Leaves no trace behind."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: an address in TIME_WAIT is free, one that somebody listens on is not.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A port nobody listens on, chosen by the kernel."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def choose_port(wanted: int, *, setting: str, chosen_by_user: bool, taken: frozenset[int] = frozenset()) -> int:
    """The wanted port when it is free; else another one, unless a person insisted on it.

    Args:
        wanted: 0 asks for any free port.
        setting: name of the setting, for the message.
        taken: ports promised to other servers of this stack that do not listen yet.

    Raises:
        ConfigurationError: the port was set explicitly and somebody listens on it.
    """
    if wanted and wanted not in taken and is_free(wanted):
        return wanted
    if wanted and chosen_by_user:
        raise ConfigurationError(
            f"{setting}={wanted}: port {wanted} on {LOOPBACK} is in use; stop what uses it or set another {setting}"
        )
    while (port := free_port()) in taken:
        continue
    return port
