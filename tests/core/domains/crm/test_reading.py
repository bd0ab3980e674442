import io
import zipfile
from pathlib import Path

import pytest

from core.domains.crm.importer import reading
from core.errors import BadInput

SMALL = "id,stage,amount\n1,Won,5\n2,Lost,7\n"


def cells(data: bytes | Path) -> list[list[str]]:
    return [r.cells for r in reading.rows(data, reading.inspect(data))]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
def test_every_usual_encoding_is_found(encoding):
    text = "id,stage,account\n1,Won,Müller & Söhne – Zürich\n2,Lost,Café\n"
    assert cells(text.encode(encoding)) == [["1", "Won", "Müller & Söhne – Zürich"], ["2", "Lost", "Café"]]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_usual_delimiter_and_line_end_is_found(delimiter, end):
    rows = [["id", "stage", "note"], ["1", "Won", "a, b; c"], ["2", "Lost", 'say "hi"'], ["3", "Won", ""]]
    text = end.join(delimiter.join('"' + c.replace('"', '""') + '"' for c in row) for row in rows) + end
    assert cells(text.encode()) == rows[1:]


def test_excels_own_separator_line_is_believed():
    assert cells(b"sep=;\r\nid;stage\r\n1;Won\r\n") == [["1", "Won"]]


def test_quoted_line_breaks_stay_in_their_cell_and_lines_are_counted_as_an_editor_counts_them():
    data = b'id,note\n1,"two\nlines"\n2,x\n'
    found = list(reading.rows(data, reading.inspect(data)))
    assert [(r.line, r.cells) for r in found] == [(2, ["1", "two\nlines"]), (4, ["2", "x"])]


def test_blank_lines_are_no_rows_and_trailing_empty_cells_do_no_harm():
    assert cells(b"id,stage\n\n1,Won,,\n , \n\n2,Lost\n") == [["1", "Won"], ["2", "Lost"]]


@pytest.mark.parametrize(("data", "reason"), [(b"id,a,b\n1,x\n", "only 2 of 3"), (b"id,a\n1,x,y\n", "3 cells, the header has 2")])
def test_a_ragged_row_says_so(data, reason):
    layout = reading.inspect(data)
    assert reason in next(reading.rows(data, layout)).problem


def test_a_nul_byte_turns_away_its_row_only():
    data = (SMALL * 20 + "x\x00y,Won,5\n").encode()
    found = list(reading.rows(data, reading.inspect(data)))
    assert "NUL" in found[-1].problem
    assert found[0].problem is None


def zipped() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
    return made.getvalue()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "The file is empty."),
        (b"   \n\n", "The file is empty."),
        (b"\xef\xbb\xbf", "no header"),
        (b",,,\n,,\n", "no header"),
        (zipped(), "Excel workbook"),
        (b"\xd0\xcf\x11\xe0" + b"x" * 600, "old Excel workbook"),
        (b"%PDF-1.7\n", "a PDF"),
        (bytes(range(256)) * 20, "binary file"),
        (b'id,stage\n1,"never closed\n' + b"x,y\n" * 200_000, "From line 2 on the file is not valid CSV"),
        (b"id,stage\n1," + b"a" * 10_000_000, "Line 2 is longer than 1 MB"),
        (b"a" * 10_000_000, "Line 1 is longer than 1 MB"),
    ],
    ids=["empty", "blank", "mark only", "no names", "xlsx", "xls", "pdf", "binary", "open quote", "long row", "long header"],
)
def test_a_file_that_is_no_csv_gets_one_clear_sentence_with_a_next_step(data, message):
    with pytest.raises(BadInput) as caught:
        cells(data)
    assert message in caught.value.message
    assert caught.value.next_step


def test_a_file_over_200_mb_is_refused_before_it_is_read(tmp_path, monkeypatch):
    big = tmp_path / "big.csv"
    with big.open("wb") as handle:
        handle.seek(reading.MAX_FILE_BYTES)
        handle.write(b"x")
    monkeypatch.setattr(reading, "_scan", lambda *_: pytest.fail("the file was read"))
    with pytest.raises(BadInput, match="larger than 200 MB"):
        reading.inspect(big)


def test_a_missing_file_a_folder_and_an_unknown_encoding_are_sentences(tmp_path):
    for source, encoding, message in (
        (tmp_path / "none.csv", None, "no file"),
        (tmp_path, None, "is a folder"),
        (SMALL.encode(), "klingon", "no encoding called"),
    ):
        with pytest.raises(BadInput, match=message):
            reading.inspect(source, encoding=encoding)


def test_a_wrong_encoding_named_by_a_person_is_a_sentence_too():
    data = "id,stage\n1,Café\n".encode("cp1252")
    with pytest.raises(BadInput, match="can't be read as utf-8"):
        list(reading.rows(data, reading.inspect(data, encoding="utf-8")))
