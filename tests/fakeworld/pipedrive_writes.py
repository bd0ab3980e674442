"""Plays what Pipedrive's API v2 lets one write: deals made, found by title, deleted. Reads are `FakePipedrive`'s."""

import re
from datetime import UTC, datetime
from typing import Any

from tests.fakeworld.pipedrive import TOKEN, FakePipedrive, deal
from tests.fakeworld.server import Seen
from tests.fakeworld.vendor import About, Reply, json_of

MARK = re.compile(r"\[(ops-[0-9a-f]+)\]")


class FakePipedriveAccount:
    """`reads.deals` are the deals. `search_lags` hides deals from the search, as a slow index does."""

    name = "pipedrive"

    def __init__(self, reads: FakePipedrive) -> None:
        self.reads = reads
        self.token = TOKEN
        self.search_lags = False

    def endpoint(self, method: str, path: str) -> str | None:
        if method == "POST":
            return "deals.create" if path == "/api/v2/deals" else None
        if re.fullmatch(r"/api/v2/deals/\d+", path):
            return {"DELETE": "deals.delete", "GET": "deals.get"}.get(method)
        if method != "GET":
            return None
        return "deals.search" if path == "/api/v2/deals/search" else "read" if path.startswith(("/api/v2/", "/v1/")) else None

    def about(self, endpoint: str, path: str, seen: Seen) -> About:
        if endpoint == "deals.create":
            mark = MARK.search(str(json_of(seen).get("title", "")))
            return About(mark[1] if mark else None)
        return About(path.rsplit("/", 1)[-1]) if endpoint == "deals.delete" else About()

    def refuse(self, endpoint: str, status: int | None) -> Reply:
        return Reply(
            status or 400, {"success": False, "error": "Bad request", "error_info": "Please check developers.pipedrive.com"}
        )

    def limited(self, retry_after: str | None) -> Reply:
        headers = {} if retry_after is None else {"retry-after": retry_after}
        return Reply(429, {"success": False, "error": "request over limit"}, headers=headers)

    def handle(self, endpoint: str, path: str, seen: Seen) -> Reply:
        if seen.headers.get("x-api-token") != self.token:
            return Reply(401, {"success": False, "error": "unauthorized access", "errorCode": 401})
        if endpoint == "read":
            return self._read(path, seen)
        if endpoint == "deals.create":
            return self._create(json_of(seen))
        if endpoint == "deals.search":
            return self._search(seen.query)
        number = int(path.rsplit("/", 1)[-1])
        found = next((d for d in self.reads.deals if d["id"] == number and not d["is_deleted"]), None)
        if found is None:
            return Reply(404, {"success": False, "error": "Deal not found", "code": "ERR_NOT_FOUND"})
        if endpoint == "deals.get":
            return Reply(200, {"success": True, "data": found})
        found["is_deleted"] = True
        return Reply(200, {"success": True, "data": {"id": number}}, applied=True)

    def _read(self, path: str, seen: Seen) -> Reply:
        if path == "/v1/users/me":
            return Reply(200, {"success": True, "data": self.reads.users[0]})
        if path == "/api/v2/deals" and "updated_since" in seen.query:
            since = seen.query["updated_since"]
            kept = [d for d in self.reads.deals if d["update_time"] >= since and not d["is_deleted"]]
            start = int(seen.query.get("cursor") or 0)
            end = start + min(self.reads.page_size, int(seen.query.get("limit", 100)))
            told = {"success": True, "data": kept[start:end]}
            return Reply(200, told | {"additional_data": {"next_cursor": str(end) if end < len(kept) else None}})
        status, headers, body = self.reads.answer(path, seen.query, seen.headers)
        return Reply(status, body, headers=headers)

    def _create(self, asked: dict[str, Any]) -> Reply:
        if not asked.get("title"):
            return Reply(
                400, {"success": False, "error": "Validation failed: title: Required", "code": "ERR_SCHEMA_VALIDATION_FAILED"}
            )
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        made = deal(max((d["id"] for d in self.reads.deals), default=0) + 1, add_time=now, update_time=now, **asked)
        self.reads.deals.append(made)
        return Reply(200, {"success": True, "data": made}, applied=True)

    def _search(self, query: dict[str, str]) -> Reply:
        term, exact = query.get("term", "").casefold(), query.get("exact_match") in ("true", "1")
        if len(term) < 2 and not exact:
            return Reply(400, {"success": False, "error": "term: too short", "code": "ERR_SCHEMA_VALIDATION_FAILED"})
        found = [] if self.search_lags else [d for d in self.reads.deals if not d["is_deleted"] and _hit(term, d["title"], exact)]
        items = [{"result_score": 0.5, "item": {"id": d["id"], "type": "deal", "title": d["title"]}} for d in found[:100]]
        return Reply(200, {"success": True, "data": {"items": items}, "additional_data": {"next_cursor": None}})


def _hit(term: str, title: str, exact: bool) -> bool:
    return title.casefold() == term if exact else term in title.casefold()
