import pytest
from sqlalchemy import select

from core.domains.users import queries, service
from core.domains.users.models import ApiKey
from core.errors import BadInput, Conflict, NotFound
from core.kit import db as database
from core.kit.db import STAFF


def test_a_key_opens_until_it_is_revoked(db):
    with database.transaction(STAFF) as session:
        made = service.create_key(session, "n8n", ["jobs:run", "jobs:read", "jobs:read"])
    assert made.key.startswith(f"ops_{made.prefix}_")
    with database.transaction(STAFF) as session:
        caller = service.authenticate_key(session, made.key)
        assert (caller.name, caller.scopes, caller.actor.kind) == ("n8n", {"jobs:read", "jobs:run"}, "api")
        stored = session.scalars(select(ApiKey)).one()
        assert made.key.rpartition("_")[2] not in (stored.secret_hash, stored.prefix)
        assert stored.last_used_at is not None
        first = stored.last_used_at
        service.authenticate_key(session, made.key)
        session.refresh(stored)
        assert stored.last_used_at == first
        assert service.revoke_key(session, made.prefix) == "n8n"
        assert service.authenticate_key(session, made.key) is None
        with pytest.raises(NotFound):
            service.revoke_key(session, "n8n")
        assert queries.keys(session, include_revoked=False) == []
        assert queries.keys(session)[0].revoked_at is not None


def test_no_other_text_opens(db):
    with database.transaction(STAFF) as session:
        made = service.create_key(session, "n8n", ["runs:read"])
        other = service.create_key(session, "zapier", ["runs:read"])
        secret = made.key.removeprefix(f"ops_{made.prefix}_")
        for wrong in (
            "",
            "ops_",
            made.key[:-1],
            made.key + "x",
            f"ops_{other.prefix}_{secret}",
            "ops_aaaaaaaa_" + "A" * 43,
            "\x00",
        ):
            assert service.authenticate_key(session, wrong) is None


def test_scopes_and_names_are_checked(db):
    with database.transaction(STAFF) as session:
        with pytest.raises(BadInput, match="jobs:everything"):
            service.create_key(session, "n8n", ["jobs:everything"])
        with pytest.raises(BadInput, match="at least one"):
            service.create_key(session, "n8n", [])
        service.create_key(session, "n8n", ["jobs:read"])
        with pytest.raises(Conflict):
            service.create_key(session, "n8n", ["jobs:read"])
