"""Import of deals on the Pipeline page: choose a file, see what it would do, correct the columns, import."""

import streamlit as st

from app.auth.current import current_user, require
from app.ui import chips, nav, page, words
from app.ui.words import esc
from core.config import get_settings
from core.domains.crm.importer import FIELDS, ImportResult, Options, Preview, preview, rejected_csv, run_import
from core.errors import OpsError
from core.kit import db
from core.kit.db import STAFF

IMPORTERS = (nav.SALES,)
MAX_MB = 200
REJECTS_SHOWN = 8
NOT_USED = "Not in this file"


def from_address() -> None:
    """Open the dialog when the address asks for it. Call it last on the page."""
    if chips.param("import") == "deals":
        _dialog()


def _close() -> None:
    st.query_params.pop("import", None)
    for key in [k for k in st.session_state if str(k).startswith("import_")]:
        del st.session_state[key]


@st.dialog("Import deals", width="large", on_dismiss=_close)
def _dialog() -> None:
    require(*IMPORTERS)
    done: ImportResult | None = st.session_state.get("import_done")
    if done is not None:
        _finished(done)
        return
    st.html("<p>A CSV export of any CRM. You see what it would change before anything is saved.</p>")
    file = st.file_uploader("CSV file", type=["csv", "txt", "tsv"], key="import_file", max_upload_size=MAX_MB, on_change=_forget)
    if file is None:
        return
    data, chosen = file.getvalue(), _options(file.name)
    try:
        with st.spinner("Reading the file …"), db.transaction(STAFF) as session:
            seen = preview(session, data, chosen)
    except OpsError as error:
        page.problem(error)
        if _choices():
            st.button("Use the guessed columns", key="import_guess", on_click=_forget)
        return
    _summary(seen)
    _columns(seen)
    _rejected(seen)
    _confirm(seen, data)


def _choices() -> list[str]:
    return [str(k) for k in st.session_state if str(k).startswith("import_map_")]


def _forget() -> None:
    """Another file has other columns: what was chosen for the last one is no answer for it."""
    for key in [*_choices(), "import_keep_good"]:
        st.session_state.pop(key, None)


def _options(file_name: str) -> Options:
    settings = get_settings()
    mapping = {f.key: st.session_state[k] for f in FIELDS if (k := f"import_map_{f.key}") in st.session_state}
    return Options(
        mapping={k: "" if v == NOT_USED else v for k, v in mapping.items()},
        file_name=file_name,
        keep_good=bool(st.session_state.get("import_keep_good")),
        currency=settings.currency,
        time_zone=settings.time_zone,
    )


def _summary(seen: Preview) -> None:
    page.tiles(
        [
            page.tile("New", f"{seen.created:,}", f"{words.many(seen.new_accounts, 'new account')}"),
            page.tile("Changed", f"{seen.updated:,}"),
            page.tile("Unchanged", f"{seen.unchanged:,}"),
            page.tile("Rejected", f"{seen.rejected_total:,}", tone="red", hot=seen.rejected_total > 0),
        ]
    )
    lines = "".join(
        f"<tr><td>{esc(s.name)}{' <small>new</small>' if s.is_new else ''}</td><td>{esc(words.state(s.status).word)}</td>"
        f'<td class="n">{s.deals:,}</td><td class="n">{esc(words.amount(s.value_minor, seen.currency))}</td></tr>'
        for s in seen.stages
    )
    head = "<tr><th>Stage</th><th>Counts as</th><th>Deals</th><th>Value</th></tr>"
    st.html(f'<div class="scroll"><table class="plain"><thead>{head}</thead><tbody>{lines}</tbody></table></div>')
    if seen.notes:
        st.html('<ul class="rows">' + "".join(f"<li><span>{esc(n)}</span></li>" for n in seen.notes) + "</ul>")


def _columns(seen: Preview) -> None:
    """The guessed mapping, each field correctable."""
    used = {u.field: u for u in seen.columns}
    columns = [h for h in seen.header if h]
    with st.expander(f"Columns: {len(used)} used, {len(seen.unused_columns)} not used"):
        for pair in (FIELDS[i : i + 2] for i in range(0, len(FIELDS), 2)):
            for place, field in zip(st.columns(2, gap="small"), pair, strict=False):
                use = used.get(field.key)
                place.selectbox(
                    field.label, [NOT_USED, *columns],
                    index=1 + columns.index(use.column) if use and use.column in columns else 0,
                    key=f"import_map_{field.key}",
                    help=words.md(f"{use.why}. {use.reading}".strip()) if use else None,
                )  # fmt: skip


def _rejected(seen: Preview) -> None:
    if not seen.rejected_total:
        return
    page.note("These rows can't be read. Correct them in the file, or import the others.", "amber", "Rejected rows.")
    lines = "".join(f"<li><span>{esc(r.reason)}</span><small>line {r.line:,}</small></li>" for r in seen.rejected[:REJECTS_SHOWN])
    st.html(f'<div class="card"><ul class="rows">{lines}</ul></div>')
    st.download_button("Download rejected rows", rejected_csv(seen.rejected), "rejected-deals.csv", "text/csv")


def _confirm(seen: Preview, data: bytes) -> None:
    good = seen.rows - seen.rejected_total
    if seen.rejected_total:
        st.checkbox(f"Import the {words.many(good, 'good row')} anyway", key="import_keep_good")
    allowed = good > 0 and (not seen.rejected_total or bool(st.session_state.get("import_keep_good")))
    label = f"Import {words.many(good, 'deal')}" if good else "Nothing to import"
    st.button(label, type="primary", disabled=not allowed, key="import_go", on_click=_run, args=(data, seen.file_name))


def _run(data: bytes, file_name: str) -> None:
    """The click. All or nothing, and a second click on the same file changes nothing."""
    user = require(*IMPORTERS)

    def work() -> None:
        with db.transaction(STAFF) as session:
            st.session_state["import_done"] = run_import(session, data, _options(file_name), by=user.actor)

    page.attempt(work)


def _finished(done: ImportResult) -> None:
    current_user()
    if not done.imported:
        page.note("Nothing was changed.", "red", "The file was turned away.")
    else:
        page.note(
            f"{done.created:,} new, {done.updated:,} changed, {done.unchanged:,} unchanged, {done.rejected_total:,} rejected.",
            "green",
            "Imported.",
        )
    if done.rejected_total:
        st.download_button("Download rejected rows", rejected_csv(done.rejected), "rejected-deals.csv", "text/csv")
    st.html('<p class="chips"><a href="/pipeline">See the pipeline</a></p>')
