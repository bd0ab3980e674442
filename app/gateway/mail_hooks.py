"""Reports of bounces and complaints from Resend. Signed over the raw body, taken once, closed without a secret."""

import json
from typing import Any, Final
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from app.gateway.body import Body
from app.gateway.problems import problem
from core.domains.users import signed
from core.integrations.resend.verify import verified
from core.kit import db, log
from core.kit.db import STAFF
from core.runtime.connections import queries as connections
from core.runtime.connections import service as accounts
from core.runtime.contacts import reports
from core.runtime.contacts.reports import Fate, Report
from core.runtime.orgs.models import AGENCY_ID

router = APIRouter(prefix="/webhooks", include_in_schema=False)
logger = log.get("mail-hooks")
VENDOR: Final = "resend_webhook"


@router.post("/resend")
def resend(request: Request, body: Body) -> Response:
    """Reports on mail of the agency's own account."""
    return _take(request, body, AGENCY_ID)


@router.post("/resend/{org_id}")
def resend_of_client(request: Request, org_id: UUID, body: Body) -> Response:
    """Reports on mail of an organisation's own account, proved with its own secret only."""
    return _take(request, body, org_id)


def _take(request: Request, body: bytes, org_id: UUID) -> Response:
    with db.transaction(STAFF) as session:
        own = any(c.vendor == VENDOR for c in connections.connections(session, org_id))
        secrets = accounts.incoming_secrets(session, VENDOR, org_id) if own or org_id == AGENCY_ID else ()
    if not secrets:
        said = "This address is closed: no webhook secret is entered."
        return problem(503, said, "Enter it in Settings → Connections → Resend.", scope=request.scope)
    message_id = verified(body, request.headers, secrets)
    if message_id is None:
        logger.warning("a report is not signed by Resend, or it is stale", bytes=len(body))
        return problem(401, "The signature is not right, or it is too old.", "Check the webhook secret.", scope=request.scope)
    report = read(body)
    with db.transaction(STAFF) as session:
        if not signed.take(session, f"resend:{org_id}", message_id):
            return JSONResponse({"status": "known"})
        taken = reports.take(session, report, "Resend", org_id) if report else None
    return JSONResponse({"status": "taken" if taken else "ignored"})


def read(body: bytes) -> Report | None:
    """What a signed message says; None for all that is no report on mail that failed."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return None
    data = said.get("data") if isinstance(said, dict) else None
    if not isinstance(data, dict):
        return None
    match said.get("type"):
        case "email.bounced":
            given = data.get("bounce")
            bounce: dict[str, Any] = given if isinstance(given, dict) else {}
            fate = Fate.SOFT if _text(bounce.get("type")).lower() in ("transient", "undetermined") else Fate.HARD
            return Report(fate, _to(data), _text(data.get("email_id")), _text(bounce.get("message")))
        case "email.complained":
            return Report(Fate.COMPLAINT, _to(data), _text(data.get("email_id")), "")
        case "suppression.added":
            words = f"{_text(data.get('origin'))} {_text(data.get('reason'))}".lower()
            fate = Fate.COMPLAINT if "complain" in words else Fate.CLOSED
            return Report(fate, _to({"to": data.get("email")}), "", words)
    return None


def _to(data: dict[str, Any]) -> tuple[str, ...]:
    given = data.get("to")
    listed = given if isinstance(given, list) else [given]
    return tuple(t for t in listed if isinstance(t, str) and t)  # as it is: nothing may be made into another address


def _text(value: Any) -> str:
    """A text without what PostgreSQL can't keep."""
    if not isinstance(value, str):
        return ""
    return value[:2000].encode("utf-8", "replace").decode().replace("\x00", "")
