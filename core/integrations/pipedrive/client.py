"""Reading from Pipedrive: pages by cursor (API v2), by offset where an account has only v1. Retries, deadlines, rate limits."""

import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import httpx
from pydantic import BaseModel, ValidationError

from core.errors import BadInput, RateLimited
from core.integrations.pipedrive.errors import BadToken, Malformed, NoSuchPath, StaleCursor, Unreachable
from core.integrations.pipedrive.schemas import Deal, Organization, Person, Stage, User
from core.kit import log
from core.kit.http import LOOPBACK

PAGE_SIZE: Final = 500
"""The most Pipedrive gives at once."""
IDS_AT_ONCE: Final = 100
ATTEMPTS: Final = 5
MAX_WAIT_S: Final = 60.0
"""A longer wait asked for by a 429 is the caller's business."""
_V1 = "v1:"

M = TypeVar("M", bound=BaseModel)
logger = log.get(__name__)


@dataclass(frozen=True, slots=True)
class DealPage:
    """Some deals; `next` is where the following page starts, None on the last one. `unreadable` rows could not be read."""

    deals: list[Deal]
    next: str | None
    unreadable: list[dict[str, Any]]


class Pipedrive:
    """One connection. `backoff_s` is the first pause between attempts, doubled each time; `check` is called before each wait."""

    def __init__(
        self, base_url: str, token: str, *, timeout_s: float = 15.0, backoff_s: float = 0.5,
        check: Callable[[], None] | None = None,
    ) -> None:  # fmt: skip
        parts = urlsplit(base_url)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
            raise BadInput(
                "The address of Pipedrive must begin with https://.",
                "Correct OPS_PIPEDRIVE_BASE_URL; the token goes along with it.",
            )
        self._http = httpx.Client(
            base_url=base_url.rstrip("/"),
            headers={"x-api-token": token, "accept": "application/json", "user-agent": "manageai-ops"},
            timeout=httpx.Timeout(timeout_s, connect=min(5.0, timeout_s)),
            # a redirect would carry the token to wherever it points
            follow_redirects=False,
        )
        self._backoff_s, self._check = backoff_s, check

    def close(self) -> None:
        """Give the connection back."""
        self._http.close()

    def __enter__(self) -> "Pipedrive":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def deals(self, cursor: str | None = None) -> DealPage:
        """A page of all deals that are not deleted, oldest id first, from `cursor` (a former page's `next`) on.

        Raises StaleCursor when Pipedrive has forgotten that place.
        """
        if cursor is None or not cursor.startswith(_V1):
            try:
                # by id, because a page must not shift while deals are being edited
                params = {"limit": PAGE_SIZE, "sort_by": "id", "sort_direction": "asc"} | ({"cursor": cursor} if cursor else {})
                body = self._get("/api/v2/deals", params)
                return _deal_page(body, _additional(body).get("next_cursor") or None)
            except NoSuchPath:
                if cursor is not None:
                    raise StaleCursor from None
        start = int(cursor.removeprefix(_V1)) if cursor else 0
        body = self._get("/v1/deals", {"start": start, "limit": PAGE_SIZE, "sort": "id ASC", "status": "all_not_deleted"})
        pages = _additional(body).get("pagination") or {}
        more = pages.get("more_items_in_collection")
        return _deal_page(body, f"{_V1}{pages.get('next_start', start + PAGE_SIZE)}" if more else None)

    def stages(self) -> list[Stage]:
        """All stages of all pipelines, in order."""
        found = self._list("/api/v2/stages", "/v1/stages", Stage)
        return sorted(found, key=lambda s: (s.pipeline_id or 0, s.order_nr, s.id))

    def users(self) -> dict[int, str]:
        """User id → name."""
        return {u.id: u.name for u in _read(User, self._get("/v1/users", {}).get("data"))}

    def organizations(self, ids: Iterable[int]) -> dict[int, str]:
        """Names of these companies, a hundred at a time; one that is not visible is missing."""
        found = self._by_ids("/api/v2/organizations", Organization, ids)
        return {o.id: o.name for o in found if o.name}

    def persons(self, ids: Iterable[int]) -> dict[int, Person]:
        """These contacts, a hundred at a time; one that is not visible is missing."""
        return {p.id: p for p in self._by_ids("/api/v2/persons", Person, ids)}

    def _by_ids(self, path: str, model: type[M], ids: Iterable[int]) -> list[M]:
        wanted = sorted(set(ids))
        found: list[M] = []
        for at in range(0, len(wanted), IDS_AT_ONCE):
            some = ",".join(map(str, wanted[at : at + IDS_AT_ONCE]))
            try:
                found += _read(model, self._get(path, {"ids": some, "limit": IDS_AT_ONCE}).get("data"))
            except NoSuchPath:
                return found  # v1 deals carry the names themselves
        return found

    def _list(self, path: str, old_path: str, model: type[M]) -> list[M]:
        found: list[M] = []
        cursor: str | None = None
        while True:
            try:
                body = self._get(path, {"limit": PAGE_SIZE} | ({"cursor": cursor} if cursor else {}))
            except NoSuchPath:
                return _read(model, self._get(old_path, {}).get("data"))
            found += _read(model, body.get("data"))
            cursor = _additional(body).get("next_cursor")
            if not cursor:
                return found

    def _get(self, path: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """The JSON object of a GET. Retries what may pass; raises what will not."""
        last: Exception = Unreachable("Pipedrive does not answer.", "Try again later; nothing was lost.")
        for attempt in range(ATTEMPTS):
            if attempt:
                self._wait(last, attempt)
            try:
                return _body(self._http.get(path, params=dict(params)), path)
            except httpx.TimeoutException:
                last = Unreachable("Pipedrive does not answer in time.", "Try again later; the pull goes on where it stood.")
            except httpx.TransportError as error:
                last = Unreachable(f"Pipedrive can't be reached ({type(error).__name__}).", "Check the network, then pull again.")
            except (Unreachable, Malformed) as error:
                last = error
            except RateLimited as error:
                if error.retry_after_s is not None and error.retry_after_s > MAX_WAIT_S:
                    raise
                last = error
            logger.info("pipedrive.retry", path=path, attempt=attempt + 1, why=type(last).__name__)
        raise last

    def _wait(self, last: Exception, attempt: int) -> None:
        asked = last.retry_after_s if isinstance(last, RateLimited) else None
        # jitter, so that two pulls that were turned away together do not come back together
        pause = asked if asked is not None else self._backoff_s * 2 ** (attempt - 1) * random.uniform(0.75, 1.25)  # noqa: S311
        end = time.monotonic() + min(pause, MAX_WAIT_S)
        while True:
            if self._check is not None:
                self._check()
            left = end - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, 0.5))


def _retry_after(response: httpx.Response) -> float | None:
    for name in ("retry-after", "x-ratelimit-reset"):
        value = response.headers.get(name, "")
        if value.replace(".", "", 1).isdecimal():
            return float(value)
    return None


def _body(response: httpx.Response, path: str) -> dict[str, Any]:
    status = response.status_code
    if status in (401, 403):
        raise BadToken(status)
    if status == 429:
        raise RateLimited("Pipedrive asks us to slow down.", "The pull goes on later by itself.", _retry_after(response))
    if status in (404, 410):
        raise NoSuchPath(path)
    if status == 400 and "cursor" in response.url.params:
        raise StaleCursor
    if status >= 500:
        raise Unreachable(f"Pipedrive has a problem of its own ({status}).", "Try again later; the pull goes on where it stood.")
    try:
        body = response.json()
    except ValueError:
        body = None
    if status != 200 or not isinstance(body, dict) or body.get("success") is not True:
        raise Malformed("Pipedrive answered something we can't read.", "Check OPS_PIPEDRIVE_BASE_URL, then pull again.")
    return body


def _additional(body: Mapping[str, Any]) -> dict[str, Any]:
    extra = body.get("additional_data")
    return extra if isinstance(extra, dict) else {}


def _items(data: Any) -> Sequence[Any]:
    if data is None:
        return ()
    if not isinstance(data, list):
        raise Malformed("Pipedrive answered something we can't read.", "Check OPS_PIPEDRIVE_BASE_URL, then pull again.")
    return data


def _read(model: type[M], data: Any) -> list[M]:
    try:
        return [model.model_validate(item) for item in _items(data)]
    except ValidationError:
        raise Malformed("Pipedrive answered something we can't read.", "Report this; Pipedrive's API may have changed.") from None


def _deal_page(body: Mapping[str, Any], following: str | None) -> DealPage:
    """One deal that can't be read must not stop the others."""
    deals, unreadable = [], []
    for item in _items(body.get("data")):
        try:
            deals.append(Deal.model_validate(item))
        except (ValidationError, ValueError, ArithmeticError):
            unreadable.append(item if isinstance(item, dict) else {"value": str(item)[:200]})
    return DealPage([d for d in deals if not d.is_deleted], following, unreadable)
