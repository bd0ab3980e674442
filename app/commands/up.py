"""`ops up`: start everything."""

import os
import sys

import click


@click.command()
@click.option("--no-demo", is_flag=True, help="Start with an empty agency instead of the demo agency.")
@click.option("--web-port", type=click.IntRange(1, 65535), help="Port of the dashboard [OPS_WEB_PORT, 8501].")
@click.option("--gateway-port", type=click.IntRange(1, 65535), help="Port of webhooks and API [OPS_GATEWAY_PORT, 8600].")
@click.option("--state-dir", type=click.Path(file_okay=False), help="Where data and logs live [OPS_STATE_DIR, .state].")
def up(no_demo: bool, web_port: int | None, gateway_port: int | None, state_dir: str | None) -> None:
    """Start everything: database and Valkey when no URL names others, dashboard, gateway, workers, clock and watchdog.

    It runs until Ctrl-C. A port that is taken is replaced by a free one, unless you asked for exactly that one.
    """
    for name, value in (("OPS_WEB_PORT", web_port), ("OPS_GATEWAY_PORT", gateway_port), ("OPS_STATE_DIR", state_dir)):
        if value is not None:
            os.environ[name] = str(value)
    # this process becomes the supervisor: signals and kill reach it directly, and no second Python stays around
    argv = [sys.executable, "-P", "-m", "worker.supervisor", *(["--no-demo"] if no_demo else [])]
    sys.stdout.flush()
    os.execv(sys.executable, argv)  # noqa: S606 - a fixed command
