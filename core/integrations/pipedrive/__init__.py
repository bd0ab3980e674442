"""Pipedrive's REST API: deals, stages, people and companies are read, deals made and deleted. No rule of the sales domain."""

from core.integrations.pipedrive.client import DealPage, Pipedrive

__all__ = ["DealPage", "Pipedrive"]
