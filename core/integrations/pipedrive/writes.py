"""What we change at Pipedrive: a deal made, found by the mark in its title, deleted. It has no idempotency: twice makes two."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from core.config import get_settings
from core.kit.http import Answer, Caller, NoAnswer, NotApplied

_DEALS: Final = "/api/v2/deals"
_JSON: Final = {"content-type": "application/json"}
MAX_PAGES: Final = 20


class PipedriveRefused(NotApplied):
    """Pipedrive said no. 404 is its status for a deal that is not there."""


class PipedriveWrites:
    """One account, with a user's API token."""

    def __init__(self, token: str, base_url: str | None = None) -> None:
        headers = {"x-api-token": token.strip()}
        base = base_url or get_settings().pipedrive_base_url
        self._http = Caller("Pipedrive", base, headers, setting="OPS_PIPEDRIVE_BASE_URL")

    def create_deal(self, body: bytes) -> int:
        """POST exactly these bytes. Returns the deal's id. Raises NotApplied or NoAnswer."""
        return _id(_data(self._http.write("POST", _DEALS, body, _JSON)))

    def delete_deal(self, deal_id: int) -> None:
        """Mark it as deleted; Pipedrive keeps it for 30 days. Raises PipedriveRefused (404 when it is gone), NoAnswer."""
        _data(self._http.write("DELETE", f"{_DEALS}/{deal_id}"))

    def deal_exists(self, deal_id: int) -> bool:
        """Whether the deal is there and not deleted. Raises PipedriveRefused or NoAnswer."""
        try:
            return not _data(self._http.read(f"{_DEALS}/{deal_id}", {})).get("is_deleted")
        except PipedriveRefused as error:
            if error.status == 404:
                return False
            raise

    def find_deal(self, mark: str, since: datetime) -> int | None:
        """The deal with this mark in its title, made after `since`; None when there certainly is none.

        The search index lags behind, so what it does not know is looked for in the list of deals too.
        """
        found = _data(self._http.read(f"{_DEALS}/search", {"term": mark, "fields": "title", "limit": "10"}))
        for item in found.get("items") or ():
            deal = item.get("item") or {}
            if mark in str(deal.get("title", "")):
                return _id(deal)
        return self._listed(mark, since)

    def _listed(self, mark: str, since: datetime) -> int | None:
        # whole seconds there, and its clock is not ours
        start = (since - timedelta(seconds=1)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        params = {"updated_since": start, "sort_by": "id", "sort_direction": "desc", "limit": "500"}
        for _ in range(MAX_PAGES):
            told = _told(self._http.read(_DEALS, params))
            deals = told.get("data")
            if not isinstance(deals, list):
                raise _unreadable(200)
            for deal in deals:
                if mark in str(deal.get("title", "")):
                    return _id(deal)
            cursor = (told.get("additional_data") or {}).get("next_cursor")
            if not cursor:
                return None
            params["cursor"] = str(cursor)
        raise NoAnswer("Too many deals changed since to look through them all.", "Look for the deal in Pipedrive.")


def _unreadable(status: int) -> NoAnswer:
    return NoAnswer("Pipedrive answered something we can't read.", "It is looked into again.", status=status)


def _told(answer: Answer) -> dict[str, Any]:
    told = answer.json()
    if told is None or not isinstance(told.get("success"), bool):
        raise _unreadable(answer.status)
    if answer.status in (401, 403):
        raise PipedriveRefused(
            "Pipedrive does not accept the API token, or its user may not do that.", "Enter a working token under Connections.",
            status=answer.status,
        )  # fmt: skip
    if answer.status >= 400 or not told["success"]:
        said = " ".join(str(told.get("error") or "it gave no reason").split())[:200].rstrip(".")
        raise PipedriveRefused(f"Pipedrive refused it: {said}.", "Correct it, then propose it again.", status=answer.status)
    return told


def _data(answer: Answer) -> dict[str, Any]:
    data = _told(answer).get("data")
    if not isinstance(data, dict):
        raise _unreadable(answer.status)
    return data


def _id(deal: dict[str, Any]) -> int:
    if not isinstance(deal.get("id"), int):
        raise _unreadable(200)
    return int(deal["id"])
