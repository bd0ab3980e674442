"""Where deals open in the app."""

from core.domains.crm.queries.filters import DealFilter


def deal(deal_id: int) -> str:
    """One deal."""
    return f"/deal?id={deal_id}"


def pipeline(f: DealFilter | None = None) -> str:
    """The Pipeline page, filtered."""
    from urllib.parse import urlencode

    params = f.to_params() if f else {}
    return "/pipeline" + (f"?{urlencode(params, safe=',.')}" if params else "")
