"""Pipedrive's REST API: deals, stages, people and companies. Reading only; no rule of the sales domain."""

from core.integrations.pipedrive.client import DealPage, Pipedrive, connect

__all__ = ["DealPage", "Pipedrive", "connect"]
