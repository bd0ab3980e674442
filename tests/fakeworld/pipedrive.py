"""A real HTTP server on loopback that plays Pipedrive: API v2 by cursor, v1 by offset, and every way it can misbehave."""

import base64
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "fake-token"


@dataclass
class FakePipedrive:
    """`trouble` is used up one entry a request for deals: a status, "hang", "cut", "html" or "retry:SECONDS" for a 429.

    `only_v1` answers 404 to everything of v2. `page_size` caps what a page holds, so that few deals make many pages.
    """

    deals: list[dict[str, Any]] = field(default_factory=list)
    stages: list[dict[str, Any]] = field(default_factory=list)
    users: list[dict[str, Any]] = field(default_factory=list)
    organizations: list[dict[str, Any]] = field(default_factory=list)
    persons: list[dict[str, Any]] = field(default_factory=list)
    trouble: list[str | int | None] = field(default_factory=list)
    only_v1: bool = False
    page_size: int = 500
    forget_cursors: bool = False
    seen: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    serve: bool = True
    """False when another server asks `answer`."""

    def __post_init__(self) -> None:
        self._lock, self._closing = threading.Lock(), threading.Event()
        if not self.serve:
            return
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def asked(self, path: str) -> int:
        """How many requests a path got."""
        return sum(1 for seen, _ in self.seen if seen == path)

    def answer(self, path: str, query: dict[str, str], headers: Any) -> tuple[int, dict[str, str], Any]:
        if headers.get("x-api-token") != TOKEN:
            return 401, {}, {"success": False, "error": "unauthorized access", "errorCode": 401}
        if path.endswith("/deals"):
            with self._lock:
                trouble = self.trouble.pop(0) if self.trouble else None
            if trouble is not None:
                return self._misbehave(trouble)
        if path.startswith("/api/v2/") and not self.only_v1:
            return self._v2(path.removeprefix("/api/v2/"), query)
        if path.startswith("/v1/"):
            return self._v1(path.removeprefix("/v1/"), query)
        return 404, {}, {"success": False, "error": "not found"}

    def _misbehave(self, trouble: str | int) -> tuple[int, dict[str, str], Any]:
        if isinstance(trouble, int):
            return trouble, {}, {"success": False, "error": "trouble"}
        if trouble.startswith("retry:"):
            return 429, {"retry-after": trouble.removeprefix("retry:")}, {"success": False, "error": "request over limit"}
        if trouble == "hang":
            self._closing.wait(20)
        if trouble == "html":
            return 200, {}, "<html>Welcome to the proxy</html>"
        raise ConnectionResetError

    def _v2(self, what: str, query: dict[str, str]) -> tuple[int, dict[str, str], Any]:
        listed = {"deals": self.deals, "stages": self.stages, "organizations": self.organizations, "persons": self.persons}
        if what not in listed:
            return 404, {}, {"success": False}
        items = listed[what]
        if "ids" in query:
            wanted = {int(i) for i in query["ids"].split(",")}
            return 200, {}, {"success": True, "data": [i for i in items if i["id"] in wanted], "additional_data": {}}
        start = 0
        if "cursor" in query:
            if self.forget_cursors:
                self.forget_cursors = False
                return 400, {}, {"success": False, "error": "cursor is not valid"}
            start = int(base64.urlsafe_b64decode(query["cursor"]).decode())
        end = start + min(self.page_size, int(query.get("limit", 100)))
        following = base64.urlsafe_b64encode(str(end).encode()).decode() if end < len(items) else None
        return 200, {}, {"success": True, "data": items[start:end], "additional_data": {"next_cursor": following}}

    def _v1(self, what: str, query: dict[str, str]) -> tuple[int, dict[str, str], Any]:
        if what == "users":
            return 200, {}, {"success": True, "data": self.users}
        if what == "stages":
            return 200, {}, {"success": True, "data": self.stages}
        if what != "deals":
            return 404, {}, {"success": False}
        start = int(query.get("start", 0))
        end = start + min(self.page_size, int(query.get("limit", 100)))
        more = end < len(self.deals)
        pages = {"start": start, "more_items_in_collection": more} | ({"next_start": end} if more else {})
        data = [self._as_v1(d) for d in self.deals[start:end]] or None
        return 200, {}, {"success": True, "data": data, "additional_data": {"pagination": pages}}

    def _as_v1(self, deal: dict[str, Any]) -> dict[str, Any]:
        """The same deal as v1 tells it: objects instead of ids, times without a zone, names beside them."""
        names = {o["id"]: o["name"] for o in self.organizations}
        made = {
            k: (v.replace("T", " ").rstrip("Z") if k.endswith("_time") and isinstance(v, str) else v) for k, v in deal.items()
        }
        owner = made.pop("owner_id", None)
        made["user_id"] = {"id": owner, "value": owner}
        if deal.get("org_id"):
            made["org_id"] = {"value": deal["org_id"], "name": names[deal["org_id"]]}
            made["org_name"] = names[deal["org_id"]]
        return made

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        world = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                query = {k: v[0] for k, v in parse_qs(parts.query).items()}
                with world._lock:
                    world.seen.append((parts.path, query))
                try:
                    status, headers, body = world.answer(parts.path, query, self.headers)
                    data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
                    self.send_response(status)
                    for name, value in {"content-length": str(len(data)), **headers}.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(data)
                except (ConnectionError, OSError):
                    self.close_connection = True

            def log_message(self, *_: object) -> None:
                pass

        return Handler


def deal(number: int, **values: Any) -> dict[str, Any]:
    """A deal as API v2 tells it."""
    return {
        "id": number, "title": f"Deal {number}", "value": 100.5, "currency": "USD", "status": "open", "stage_id": 1,
        "owner_id": 7, "org_id": 3, "person_id": None, "add_time": "2026-10-01T09:00:00Z", "update_time": "2026-10-10T09:00:00Z",
        "stage_change_time": "2026-10-05T09:00:00Z", "won_time": None, "lost_time": None, "close_time": None,
        "expected_close_date": "2026-12-24", "is_deleted": False,
    } | values  # fmt: skip


def world(count: int = 0, **values: Any) -> FakePipedrive:
    """An account with two stages, Tony, Northwind and so many deals."""
    return FakePipedrive(
        deals=[deal(n) for n in range(1, count + 1)],
        stages=[
            {"id": 1, "name": "Qualified", "order_nr": 1, "pipeline_id": 1, "deal_probability": 100},
            {"id": 2, "name": "Proposal Made", "order_nr": 2, "pipeline_id": 1, "deal_probability": 100},
        ],
        users=[{"id": 7, "name": "Tony", "email": "tony@manageai.example"}],
        organizations=[{"id": 3, "name": "Northwind"}],
        persons=[{"id": 5, "name": "Nora", "emails": [{"value": "nora@northwind.example", "primary": True}]}],
        **values,
    )  # fmt: skip
