"""All settings, read once from the environment and `.env`.

A missing optional key turns that connector off or to dry run; `ops doctor` says so.
"""

import json
import os
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

RUNTIME_FILE = "runtime.json"


class Settings(BaseSettings):
    """Settings of one process. Durations are seconds, money is US dollars unless the name says otherwise."""

    model_config = SettingsConfigDict(env_prefix="OPS_", env_file=".env", extra="ignore", populate_by_name=True)

    # where state lives
    state_dir: Path = Path(".state")
    database_url: str | None = Field(default=None, validation_alias=AliasChoices("DATABASE_URL", "OPS_DATABASE_URL"))
    database_admin_url: str | None = Field(
        default=None, validation_alias=AliasChoices("DATABASE_ADMIN_URL", "OPS_DATABASE_ADMIN_URL")
    )
    redis_url: str | None = Field(default=None, validation_alias=AliasChoices("REDIS_URL", "OPS_REDIS_URL"))
    secret_keys: SecretStr | None = None

    postgres_port: int | None = None
    valkey_port: int | None = None
    procfile: Path = Path("Procfile")
    preload: bool = True

    # faces
    bind_host: str = "127.0.0.1"
    web_port: int = 8501
    gateway_port: int = 8600
    public_url: str | None = None
    gateway_url: str | None = None
    time_zone: str = "America/Chicago"
    currency: str = "USD"
    log_level: str = "INFO"

    # workers and the run ledger
    workers_interactive: int = 1
    workers_agents: int = 1
    workers_background: int = 1
    # a killed worker's run is taken back when its lease ends: 3 to 4.5 s after the kill, with two beats to miss
    lease_s: float = 4.5
    heartbeat_s: float = 1.5
    worker_grace_s: float = 5.0
    clock_tick_s: float = 0.5
    max_rescues: int = 3

    # effects: how long what was on its way at a crash may still arrive, and the first pause before an unclear one is looked at
    effect_settle_s: float = 5.0
    effect_retry_s: float = 2.0

    # how long ended runs, and their logs, are kept
    keep_runs_days: int = 400
    keep_logs_days: int = 90

    # the model
    anthropic_api_key: SecretStr | None = Field(
        default=None, validation_alias=AliasChoices("ANTHROPIC_API_KEY", "OPS_ANTHROPIC_API_KEY")
    )
    anthropic_base_url: str | None = Field(
        default=None, validation_alias=AliasChoices("ANTHROPIC_BASE_URL", "OPS_ANTHROPIC_BASE_URL")
    )
    model: str = "claude-sonnet-5"
    model_call_deadline_s: float = 90.0
    model_backoff_s: float = 1.0
    run_budget_usd: float = 1.0
    run_budget_tokens: int = 50_000
    run_budget_calls: int = 40
    day_budget_usd: float = 20.0
    org_day_budget_usd: float = 10.0

    # vendors: each base URL is a setting so that a local stand-in can play the vendor
    pipedrive_api_token: SecretStr | None = Field(
        default=None, validation_alias=AliasChoices("PIPEDRIVE_API_TOKEN", "OPS_PIPEDRIVE_API_TOKEN")
    )
    pipedrive_base_url: str = "https://api.pipedrive.com"
    # accounts may come from here too; `ops up` keeps them as connections named “environment”
    slack_bot_token: SecretStr | None = Field(
        default=None, validation_alias=AliasChoices("SLACK_BOT_TOKEN", "OPS_SLACK_BOT_TOKEN")
    )
    slack_signing_secret: SecretStr | None = Field(
        default=None, validation_alias=AliasChoices("SLACK_SIGNING_SECRET", "OPS_SLACK_SIGNING_SECRET")
    )
    resend_api_key: SecretStr | None = Field(default=None, validation_alias=AliasChoices("RESEND_API_KEY", "OPS_RESEND_API_KEY"))
    resend_webhook_secret: SecretStr | None = Field(
        default=None, validation_alias=AliasChoices("RESEND_WEBHOOK_SECRET", "OPS_RESEND_WEBHOOK_SECRET")
    )
    smtp_url: SecretStr | None = Field(default=None, validation_alias=AliasChoices("SMTP_URL", "OPS_SMTP_URL"))
    mail_from: str | None = Field(default=None, validation_alias=AliasChoices("MAIL_FROM", "OPS_MAIL_FROM"))
    slack_base_url: str = "https://slack.com/api"
    resend_base_url: str = "https://api.resend.com"
    vendor_connect_timeout_s: float = 5.0
    vendor_timeout_s: float = 15.0
    vendor_deadline_s: float = 25.0
    vendor_tries: int = 3
    vendor_backoff_s: float = 0.3

    # alerts: from which numbers on something is unusual
    alert_volume_percent: float = 200.0
    alert_volume_least: int = 20
    alert_provider_failures: int = 5
    alert_provider_minutes: int = 15
    alert_quota_errors: int = 3
    alert_denies: int = 10
    alert_cycle_percent: float = 20.0
    alert_cycle_least: int = 5
    alert_lock_wait_s: float = 5.0

    @property
    def runtime_file(self) -> Path:
        """Where a running `ops up` leaves the URLs of its embedded services (mode 0600)."""
        return self.state_dir / RUNTIME_FILE


def started_at_tick(pid: int) -> int | None:
    """When this process started, in ticks since boot, to tell it from a later one with the same number; None when it is gone."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return int(file.read().rsplit(")", 1)[1].split()[19])
    except (OSError, ValueError, IndexError):
        return None


def running_app(settings: Settings) -> dict[str, Any]:
    """What the `ops up` that runs on this state folder says of itself; empty when none does (a dead one's file is ignored)."""
    try:
        data = json.loads(settings.runtime_file.read_text())
        os.kill(data["pid"], 0)
        alive = started_at_tick(data["pid"]) == data.get("pid_tick")
    except PermissionError:
        return {}  # another user's
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return data if alive else {}


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The process's settings; what the environment leaves open comes from a running `ops up`."""
    settings = Settings()
    found = running_app(settings)
    wanted = [k for k in ("web_port", "gateway_port") if k not in settings.model_fields_set]
    if settings.redis_url is None:
        wanted.append("redis_url")
    if settings.database_url in (None, found.get("database_url")):  # never the address of one database with the owner of another
        wanted += [k for k in ("database_url", "database_admin_url") if getattr(settings, k) is None]
    return settings.model_copy(update={k: found[k] for k in wanted if found.get(k)})
