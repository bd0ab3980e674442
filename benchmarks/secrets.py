"""The key of 5,000 stored secrets rotated again and again, under load and kills; and ciphertext changed or moved."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select, text, update

from benchmarks.harness import Stack, percentile, result, table, until

MANY = int(os.environ.get("BENCH_SECRETS", "5000"))
ROTATIONS = int(os.environ.get("BENCH_ROTATIONS", "6"))
KILLS = int(os.environ.get("BENCH_ROTATION_KILLS", "20"))
READERS = 4
MOVED_IN_DATABASE = 300


def secret_of(name: str) -> str:
    """How the secret of this connection begins; what is saved later has a number behind it."""
    return f"xoxb-{name}-canary-"


# -- the processes of the load ---------------------------------------------------------------------------------------------


def _until_told() -> Iterator[None]:
    folder = os.environ["OPS_STATE_DIR"]
    while not os.path.exists(f"{folder}/stop"):
        yield


def read() -> None:
    """Open accounts one after the other, as an effect does it: audited. The last line is what came of it."""
    from core.kit import db
    from core.kit.db import STAFF
    from core.runtime.connections import service
    from core.runtime.connections.models import Connection

    with db.transaction(STAFF) as session:
        rows = [(r.id, r.name) for r in session.execute(select(Connection.id, Connection.name))]
    took, failed = [], []
    for _ in _until_told():
        connection_id, name = random.choice(rows)
        began = time.perf_counter()
        try:
            with db.transaction(STAFF) as session:
                secret = service.open_account(session, connection_id, "load").secret
            if not secret.startswith(secret_of(name)):
                failed.append(f"{name}: another secret")
        except Exception as error:
            failed.append(f"{name}: {type(error).__name__} {error}"[:300])
        took.append(time.perf_counter() - began)
    print(json.dumps({"took": took, "failed": failed}), flush=True)


def write() -> None:
    """Save new secrets, as people do; the last line says which secret each connection must have."""
    from core.kit import db
    from core.kit.actor import Actor
    from core.kit.db import STAFF
    from core.runtime.connections import service

    last: dict[str, str] = {}
    failed: list[str] = []
    for turn, _ in enumerate(_until_told()):
        name = f"n{random.randrange(MANY // 10)}"
        secret = f"{secret_of(name)}{turn}"
        try:
            with db.transaction(STAFF) as session:
                service.save(session, "slack", name, {}, secret, Actor("Dave", "user", 1))
            last[name] = secret
        except Exception as error:
            failed.append(f"{name}: {type(error).__name__} {error}"[:300])
        time.sleep(0.02)
    print(json.dumps({"last": last, "failed": failed}), flush=True)


def _rotation() -> int:
    """One rotation, or the rest of one that was killed, in a process of its own. Returns its id."""
    pid = os.fork()  # everything is imported already, so a kill meets the work and not the start
    if pid:
        return pid
    code = 1
    try:
        from core.kit.actor import Actor
        from core.runtime.connections import rotation

        rotation.rotate(Actor("Dave", "user", 1), batch=50)
        code = 0
    finally:
        os._exit(code)


# -- the measurement ---------------------------------------------------------------------------------------------------------


def _fill(orgs: list[UUID]) -> None:
    from core.kit import crypto, db
    from core.kit.db import STAFF
    from core.runtime.connections import vault
    from core.runtime.connections.models import Connection
    from core.runtime.orgs.models import Organisation, OrgKind

    with db.transaction(STAFF) as session:
        clients = [{"id": o, "name": f"Client {n}", "kind": OrgKind.CLIENT} for n, o in enumerate(orgs[1:])]
        session.execute(insert(Organisation), clients)
        ring = vault.ring_for(session)
        # the first tenth is the agency's: people save those while the rotation runs
        values = [
            {
                "org_id": orgs[0] if n < MANY // 10 else orgs[n % len(orgs)],
                "vendor": "slack",
                "name": f"n{n}",
                "config": {},
                "edited_by": "Dave",
            }
            for n in range(MANY)
        ]
        session.execute(insert(Connection), values)
        rows = session.execute(select(Connection.id, Connection.org_id, Connection.name)).all()
        sealed = []
        for row in rows:
            cipher, key_id = crypto.seal(secret_of(row.name), vault.place(row.org_id, row.id), ring)
            sealed.append({"id": row.id, "secret": cipher, "key_id": key_id})
        session.execute(update(Connection), sealed)


def _start(role: str) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-m", "benchmarks.secrets", role], stdout=subprocess.PIPE, text=True)


def _drop_old() -> int:
    """Drop every key that seals nothing any more; returns how many went."""
    from core.errors import Conflict
    from core.kit import db, keyring
    from core.kit.actor import Actor
    from core.kit.db import STAFF
    from core.runtime.connections import rotation

    gone = 0
    for key_id in keyring.keyring().ids[1:]:
        try:
            with db.transaction(STAFF) as session:
                rotation.drop(session, key_id, Actor("Dave", "user", 1))
            gone += 1
        except Conflict:
            pass  # somebody sealed with it at the last moment: the next rotation takes it along
    return gone


def _storm() -> dict[str, Any]:
    """Rotate again and again under load, killing the rotation at random moments."""
    readers, writer = [_start("read") for _ in range(READERS)], _start("write")
    time.sleep(2.0)
    kills = complete = dropped = 0
    took: list[float] = []
    while complete < ROTATIONS or kills < KILLS:
        began = time.monotonic()
        pid = _rotation()
        if took and kills < KILLS and random.random() < 0.85:
            time.sleep(random.uniform(0.0, took[0]))
            os.kill(pid, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if code == 0:
            complete += 1
            took.append(time.monotonic() - began)
            dropped += _drop_old()
        elif code == -signal.SIGKILL:
            kills += 1
        else:
            raise RuntimeError(f"a rotation ended with {code}")
    open(f"{os.environ['OPS_STATE_DIR']}/stop", "w").close()
    told = [json.loads(p.communicate(timeout=120)[0]) for p in readers]
    wrote = json.loads(writer.communicate(timeout=120)[0])
    return {"kills": kills, "complete": complete, "dropped": dropped, "longest": max(took), "readers": told, "writer": wrote}


def _all_right(expected: dict[str, str]) -> int:
    """How many secrets are not what was last saved."""
    from core.kit import db
    from core.kit.db import STAFF
    from core.runtime.connections import vault
    from core.runtime.connections.models import Connection

    with db.transaction(STAFF) as session:
        rows = session.execute(select(Connection.id, Connection.name)).all()
        return sum(vault.unseal(session, r.id) != expected.get(r.name, secret_of(r.name)) for r in rows)


def _tampered() -> tuple[int, int, int, int]:
    """(changed, of them rejected, moved, of them rejected): in memory for every secret, and for some in the database itself."""
    from core.kit import crypto, db
    from core.kit.crypto import KeyMissing, Rejected
    from core.kit.db import STAFF
    from core.runtime.connections import service, vault
    from core.runtime.connections.models import Connection

    def refused(cipher: bytes, place: crypto.Where) -> bool:
        try:
            crypto.open_(cipher, place)
        except (Rejected, KeyMissing):
            return True
        return False

    with db.transaction(STAFF) as session:
        rows = session.execute(select(Connection.id, Connection.org_id, Connection.secret)).all()
    changed = changed_refused = moved = moved_refused = 0
    for number, row in enumerate(rows):
        place, cipher = vault.place(row.org_id, row.id), bytes(row.secret)
        for at in range(len(cipher)) if number < 20 else (random.randrange(len(cipher)),):
            broken = bytearray(cipher)
            broken[at] ^= 1 << random.randrange(8)
            changed += 1
            changed_refused += refused(bytes(broken), place)
        other = rows[(number + random.randrange(1, len(rows))) % len(rows)]
        for target in (
            vault.place(other.org_id, other.id), vault.place(other.org_id, row.id), vault.place(row.org_id, other.id),
            crypto.Where(row.org_id, "connections", "hint", row.id), crypto.Where(row.org_id, "runs", "secret", row.id),
        ):  # fmt: skip
            if target != place:
                moved += 1
                moved_refused += refused(cipher, target)
    for row in random.sample(rows, MOVED_IN_DATABASE):
        other = random.choice([r for r in rows if r.id != row.id])
        with db.transaction(STAFF) as session:
            session.execute(update(Connection).where(Connection.id == row.id).values(secret=other.secret))
            moved += 1
            try:
                service.open_account(session, row.id, "moved")
            except Rejected:
                moved_refused += 1
            session.rollback()
    return changed, changed_refused, moved, moved_refused


def main() -> None:
    """Measure and print."""
    from core.runtime.orgs.models import AGENCY_ID

    with Stack() as stack:
        _fill([AGENCY_ID, *(UUID(int=n) for n in range(1, 10))])
        until(lambda: stack.sql(text("SELECT count(*) FROM connections WHERE secret IS NOT NULL"))[0][0] == MANY, 60)
        began = time.monotonic()
        told = _storm()
        took = time.monotonic() - began
        wrong = _all_right(told["writer"]["last"])
        changed, changed_refused, moved, moved_refused = _tampered()
    failed = [f for r in told["readers"] for f in r["failed"]] + told["writer"]["failed"]
    for line in failed[:10]:
        print("FAILED", line)
    reads = [t for r in told["readers"] for t in r["took"]]
    table(
        f"{MANY:,} secrets, {told['complete']} rotations under {READERS} readers and a writer",
        ("kills", "keys dropped", "secrets opened", "saved", "failed", "wrong at the end", "open p50", "open p99", "seconds"),
        [(told["kills"], told["dropped"], f"{len(reads):,}", len(told["writer"]["last"]), len(failed), wrong,
          f"{percentile(reads, 0.5) * 1000:.1f} ms", f"{percentile(reads, 0.99) * 1000:.1f} ms", f"{took:.0f}")],
    )  # fmt: skip
    table(
        "Ciphertext that was changed or moved",
        ("changed", "rejected", "moved to another row, column, table or organisation", "rejected"),
        [(f"{changed:,}", f"{changed_refused:,}", f"{moved:,}", f"{moved_refused:,}")],
    )
    load = f"{told['kills']} kills of the rotation, {len(reads):,} secrets opened meanwhile"
    bad = len(failed) + wrong
    result("limits.rotation_failed_decrypts", bad, "secrets", load, 0, bad == 0)
    result("limits.rotation_kills", told["kills"], "kills", f"{MANY:,} secrets", 10, told["kills"] >= 10)
    result("limits.rotation_longest", told["longest"], "s", f"{MANY:,} secrets under load", 120, told["longest"] <= 120)
    share = 100 * changed_refused / changed
    result("limits.tamper_rejected", share, "%", f"{changed:,} changed ciphertexts", 100, changed_refused == changed)
    share = 100 * moved_refused / moved
    result(
        "limits.moved_rejected", share, "%", f"{moved:,} moved ciphertexts; plain Fernet opens them", 100, moved_refused == moved
    )


if __name__ == "__main__":
    {"read": read, "write": write}.get(sys.argv[1] if len(sys.argv) > 1 else "", main)()
