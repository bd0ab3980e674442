"""From the bytes of a file to rows of cells: encoding, delimiter and bounds. Reads as a stream, however long the file.

Every way a file can be broken is one BadInput with one sentence and a next step, or a row with its line number.
"""

import codecs
import csv
import hashlib
import io
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from core.errors import BadInput

MAX_FILE_BYTES: Final = 200 * 1024 * 1024
MAX_LINE_BYTES: Final = 1024 * 1024
_CHUNK: Final = 1024 * 1024
_HEAD: Final = 64 * 1024
DELIMITERS: Final = ",;\t|"
DELIMITER_NAMES: Final = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_MAGIC: Final = (
    (b"PK\x03\x04", "an Excel workbook or a zip archive"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook"),
    (b"%PDF", "a PDF"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"SQLite format 3", "a database"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
)
_AS_CSV: Final = "Open it where it comes from and save or export it as CSV (UTF-8), then import that file."

Source = Path | bytes


@dataclass(frozen=True, slots=True)
class Layout:
    """How a file is written. `encoding` is a Python codec name; `sha256` is of its bytes; `size` in bytes."""

    encoding: str
    delimiter: str
    header: tuple[str, ...]
    header_line: int
    size: int
    sha256: str

    @property
    def encoding_shown(self) -> str:
        """The encoding as a person calls it."""
        return {"utf-8": "UTF-8", "utf-8-sig": "UTF-8", "cp1252": "Windows-1252"}.get(self.encoding, self.encoding.upper())


@dataclass(frozen=True, slots=True)
class Row:
    """One record: the line it starts on and its cells. `problem` says why its shape is wrong, if it is."""

    line: int
    cells: list[str]
    problem: str | None = None


@contextmanager
def _opened(source: Source) -> Iterator[BinaryIO]:
    if isinstance(source, bytes):
        yield io.BytesIO(source)
        return
    try:
        handle = source.open("rb")
    except FileNotFoundError:
        raise BadInput(f"There is no file “{source}”.", "Check the path and try again.") from None
    except IsADirectoryError:
        raise BadInput(f"“{source}” is a folder, not a file.", "Name the CSV file itself.") from None
    except OSError as error:
        raise BadInput(f"“{source}” can't be read ({error.strerror}).", "Check its permissions and try again.") from None
    with handle:
        yield handle


def _size(source: Source) -> int:
    if isinstance(source, bytes):
        return len(source)
    with _opened(source) as handle:
        return handle.seek(0, io.SEEK_END)


def _refuse_binary(head: bytes) -> None:
    for magic, what in _MAGIC:
        if head.startswith(magic):
            raise BadInput(f"This file is {what}, not a CSV file.", _AS_CSV)


def _bom_encoding(head: bytes) -> str | None:
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-32"
    if head.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    sample = head[:2000]
    # UTF-16 without a mark: western text has a zero in every second byte
    for encoding, zeros in (("utf-16-le", sample[1::2]), ("utf-16-be", sample[0::2])):
        others = sample[0::2] if encoding == "utf-16-le" else sample[1::2]
        if len(sample) >= 20 and zeros.count(0) > 0.7 * len(zeros) and others.count(0) < 0.05 * len(others):
            return encoding
    return None


def _strange_share(head: bytes) -> float:
    strange = sum(1 for b in head if b < 32 and b not in b"\t\r\n\f")
    return strange / max(1, len(head))


def _scan(source: Source, wanted: str | None) -> tuple[str, str, int]:
    """Encoding, sha256 and size, from one pass over the bytes in pieces."""
    digest, size, head, utf8 = hashlib.sha256(), 0, b"", codecs.getincrementaldecoder("utf-8")()
    is_utf8 = True
    with _opened(source) as handle:
        while chunk := handle.read(_CHUNK):
            head = head or chunk[:_HEAD]
            digest.update(chunk)
            size += len(chunk)
            if is_utf8:
                try:
                    utf8.decode(chunk)
                except UnicodeDecodeError:
                    is_utf8 = False
    if is_utf8:
        try:
            utf8.decode(b"", final=True)
        except UnicodeDecodeError:
            is_utf8 = False
    if not head.strip():
        raise BadInput("The file is empty.", "Export the deals again and check that the file has rows in it.")
    _refuse_binary(head)
    encoding = wanted or _bom_encoding(head)
    if encoding is None:
        if _strange_share(head[:4096]) > 0.05:
            raise BadInput("This is a binary file, not a CSV file.", _AS_CSV)
        encoding = "utf-8" if is_utf8 else "cp1252"
    return encoding, digest.hexdigest(), size


class _Lines:
    """The decoded lines of a file, one at a time, never more than MAX_LINE_BYTES characters of one."""

    def __init__(self, handle: BinaryIO, encoding: str) -> None:
        self._text = io.TextIOWrapper(handle, encoding=encoding, newline="")
        self.number = 0

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        try:
            line = self._text.readline(MAX_LINE_BYTES + 1)
        except UnicodeError:
            raise BadInput(
                f"The text near line {self.number + 1} can't be read as {self._text.encoding}.",
                "Save the file as CSV UTF-8, or name its encoding with --encoding.",
            ) from None
        if not line:
            raise StopIteration
        self.number += 1
        if len(line) > MAX_LINE_BYTES:
            raise BadInput(
                f"Line {self.number} is longer than 1 MB, which no deal export is.",
                "Check that the file has line breaks and that every quote is closed, then export it again.",
            )
        return line

    def close(self) -> None:
        # the handle belongs to the caller
        self._text.detach()


def _records(lines: _Lines, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(lines, delimiter=delimiter)
    while True:
        start = lines.number + 1
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise BadInput(
                f"From line {start} on the file is not valid CSV ({error}).",
                "A quote is probably opened and never closed there; correct it and import again.",
            ) from None
        yield start, record


def _width_score(head: str, delimiter: str) -> tuple[float, int]:
    """How well `delimiter` splits the head: share of lines with the commonest width, and that width."""
    try:
        widths = Counter(len(r) for r in csv.reader(io.StringIO(head, newline=""), delimiter=delimiter) if any(r))
    except csv.Error:
        return 0.0, 1
    if not widths:
        return 0.0, 1
    width, times = widths.most_common(1)[0]
    return (times / sum(widths.values()) if width > 1 else 0.0), width


def sniff_delimiter(head: str) -> str:
    """The delimiter that splits the head most evenly into most columns; a comma when there is only one column."""
    first = head.lstrip("\ufeff").split("\n", 1)[0].strip().lower()
    if first.startswith("sep=") and len(first) == 5:
        return first[4]
    scored = {d: _width_score(head, d) for d in DELIMITERS}
    # ragged rows may cost the true delimiter some evenness, but never half of it
    usable = [d for d in DELIMITERS if scored[d][0] > 0.5]
    return max(usable, key=lambda d: (round(scored[d][0], 1), scored[d][1]), default=",")


def _head_text(source: Source, encoding: str) -> str:
    with _opened(source) as handle:
        data = handle.read(_HEAD)
    decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
    text = decoder.decode(data)
    # the last line may be cut off
    return text if len(data) < _HEAD or "\n" not in text else text.rsplit("\n", 1)[0] + "\n"


def inspect(source: Source, *, encoding: str | None = None, delimiter: str | None = None) -> Layout:
    """Find out how a file is written. Raises BadInput for one that can't be a CSV file of rows under a header."""
    if _size(source) > MAX_FILE_BYTES:
        raise BadInput("The file is larger than 200 MB.", "Export fewer deals at a time, for example one year each.")
    if encoding is not None:
        try:
            encoding = codecs.lookup(encoding).name
        except LookupError:
            raise BadInput(f"There is no encoding called “{encoding}”.", "Usual ones: utf-8, cp1252, utf-16.") from None
    found, sha256, size = _scan(source, encoding)
    chosen = delimiter or sniff_delimiter(_head_text(source, found))
    with _opened(source) as handle:
        lines = _Lines(handle, found)
        try:
            for line, record in _records(lines, chosen):
                if not any(c.strip() for c in record) or (len(record) <= 2 and record[0].lower().startswith("sep=")):
                    continue
                header = tuple(" ".join(c.replace("\ufeff", "").replace("\x00", "").split()) for c in record)
                while header and not header[-1]:
                    header = header[:-1]
                return Layout(found, chosen, header, line, size, sha256)
        finally:
            lines.close()
    raise BadInput("The file has no header row.", "The first row must name the columns, for example id, stage, amount.")


def rows(source: Source, layout: Layout) -> Iterator[Row]:
    """The records below the header, blank ones left out. A record with too few or too many cells says so."""
    width = len(layout.header)
    with _opened(source) as handle:
        lines = _Lines(handle, layout.encoding)
        try:
            for line, record in _records(lines, layout.delimiter):
                if line <= layout.header_line or not any(c and not c.isspace() for c in record):
                    continue
                yield _shaped(line, record, width)
        finally:
            lines.close()


def _shaped(line: int, record: list[str], width: int) -> Row:
    problem = None
    if len(record) > width:
        if any(c.strip() for c in record[width:]):
            problem = f"The row has {len(record)} cells, the header has {width}."
        else:
            record = record[:width]
    elif len(record) < width:
        problem = f"The row has only {len(record)} of {width} cells."
    if any("\x00" in c for c in record):
        record = [c.replace("\x00", "␀") for c in record]
        problem = problem or "The row holds a NUL byte, which is no text."
    return Row(line, record, problem)
