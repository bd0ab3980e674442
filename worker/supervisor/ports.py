"""Ports: the one asked for, or a free one nearby that the log names."""

import socket

from core.errors import Conflict

_NEARBY = 50


def is_free(host: str, port: int) -> bool:
    """Whether somebody could listen there now."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def choose(what: str, setting: str, wished: int, *, explicit: bool, host: str, not_these: tuple[int, ...] = ()) -> int:
    """`wished` when it is free. Else the next free one, unless somebody asked for exactly this one: then Conflict."""
    if not 1 <= wished <= 65535:
        raise Conflict(f"{setting} is {wished}, which is not a port.", "Use a number from 1024 to 65535.")
    if wished not in not_these and is_free(host, wished):
        return wished
    if explicit:
        raise Conflict(
            f"Port {wished} for the {what} is taken by another program.", f"Stop that program, or set {setting} to a free port."
        )
    for port in range(wished + 1, min(wished + _NEARBY, 65536)):
        if port not in not_these and is_free(host, port):
            return port
    raise Conflict(f"No port from {wished} to {wished + _NEARBY} is free for the {what}.", f"Set {setting} to a free port.")
