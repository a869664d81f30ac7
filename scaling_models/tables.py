"""One reader for every CSV: a file is read whole, or refused in a sentence that names the file, line and column.

Nothing in a file is executed, and none unpacks to more than a limit.
"""

from __future__ import annotations

import csv
import gzip
import io
import math
import zlib
from array import array
from collections.abc import Collection, Iterator, Mapping, MutableSequence, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

LIMIT_BYTES = 64 * 2**20
"""Files that unpack to more are refused, so that no file can exhaust the memory."""

MOST_COUNTED = 1e15
SEPARATORS = (";", "\t", "|")  # that are written elsewhere, and not read here
SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6}


class _Row(NamedTuple):
    line: int
    cells: list[str]


def _content(path: Path, limit: int) -> bytes:
    """The bytes of a plain or gzipped file, never unpacking more than `limit`."""
    with path.open("rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        try:
            content = cast(BinaryIO, gzip.GzipFile(fileobj=raw) if packed else raw).read(limit + 1)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(f"{path.name} is not a whole gzip file: {error}") from None
    if len(content) > limit:
        raise ValueError(
            f"{path.name} holds more than {limit:,} bytes{' once unpacked' if packed else ''}: refused. "
            "Pass a larger limit if it is meant."
        )
    return content


def _text(path: str | Path, limit: int) -> str:
    content = _content(Path(path), limit)
    try:
        return content.decode("utf-8-sig")  # spreadsheets put a byte order mark in front
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{Path(path).name} line {line} is not UTF-8 text") from None


def _head(text: str) -> list[str]:
    """The lines before the header: comments that begin with #, and blank ones."""
    head = []
    for line in io.StringIO(text):
        if line.strip() and not line.startswith("#"):
            break
        head.append(line)
    return head


def provenance(path: str | Path, *, limit: int = LIMIT_BYTES) -> str:
    """What a file says of itself: the # lines above its header."""
    return "\n".join(line[1:].strip() for line in _head(_text(path, limit)) if line.strip())


def _rows(name: str, text: str) -> Iterator[_Row]:
    """The header and every row that is not blank, each with the line it ends on."""
    head = _head(text)
    stream = io.StringIO(text)
    stream.seek(sum(map(len, head)))
    reader = csv.reader(stream, strict=True)
    try:
        for cells in reader:
            if cells:  # a line of commas is not blank: in a ragged table it may be a gap
                yield _Row(len(head) + reader.line_num, cells)
    except csv.Error as error:
        raise ValueError(f"{name} line {len(head) + reader.line_num} is not CSV: {error}") from None


def _count(cell: str) -> float:
    """A whole number of at least zero that a float holds exactly, or a ValueError that says what stands there."""
    value = _number(cell)
    if not (value >= 0 and value.is_integer() and value <= MOST_COUNTED):
        raise ValueError(f"{cell!r} is not a count: a whole number in [0, {MOST_COUNTED:.0e}]")
    return value


def _number(cell: str) -> float:
    """A finite number as CSV writes it, or a ValueError that says what stands there instead."""
    try:
        # Python would read 1_000 as a thousand; in a file it is rather a slip.
        value = math.nan if "_" in cell else float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{cell!r} is not a number" if cell.strip() else "empty")
    return value


def _header(name: str, rows: Iterator[_Row], wanted: Collection[str]) -> dict[str, int]:
    """Each column's place, in order."""
    line, cells = next(rows, _Row(0, []))
    header = [cell.strip() for cell in cells]
    if not header:
        raise ValueError(f"{name} has no header line")
    places: dict[str, int] = {}
    for place, column in enumerate(header):
        if places.setdefault(column, place) != place:
            raise ValueError(f"{name} line {line}: two columns are called {column!r}")
    for column in wanted:
        if column not in places:
            other = next((mark for mark in SEPARATORS if len(header) == 1 and mark in header[0]), None)
            why = f": its cells seem to be separated by {other!r}, and are read as separated by ','" if other else ""
            raise ValueError(f"{name} line {line}: there is no column {column!r}, only {', '.join(header)}{why}")
    return places


class _Column:
    """One column on its way from text to an array."""

    def __init__(
        self, file: str, name: str, *, text: bool, count: bool, ragged: bool, missing: Collection[str]
    ) -> None:
        self.file, self.name, self.text, self.ragged, self.missing = file, name, text, ragged, missing
        self.number = _count if count else _number
        # An array of doubles takes 8 bytes a number where a list takes 32.
        self.values: MutableSequence[Any] = [] if text else array("d")
        self.ended_at: int | None = None

    def append(self, line: int, cell: str) -> None:
        if self.ragged and not cell.strip():
            self.ended_at = self.ended_at or line
        elif self.ended_at is not None:
            raise ValueError(f"{self._at(self.ended_at)}: empty, yet the column goes on at line {line}")
        elif self.text:
            self.values.append(cell)
        elif cell.strip() in self.missing:
            self.values.append(math.nan)
        else:
            try:
                self.values.append(self.number(cell))
            except ValueError as error:
                raise ValueError(f"{self._at(line)}: {error}") from None

    def _at(self, line: int) -> str:
        return f"{self.file} line {line}, column {self.name}"

    def finished(self) -> NDArray[Any]:
        # Not numpy's own strings: they give every cell the room of the longest.
        return np.array(self.values, dtype=object if self.text else np.float64)


def read_table(
    path: str | Path,
    columns: Sequence[str] | None = None,
    *,
    text: Collection[str] = (),
    counts: Collection[str] = (),
    missing: Collection[str] = (),
    ragged: bool = False,
    unit: str | Mapping[str, str] = "s",
    limit: int = LIMIT_BYTES,
) -> dict[str, NDArray[Any]]:
    """Read a CSV file, plain or gzipped, into one array a column.

    The file is UTF-8: comment lines that begin with # (see `provenance`), a header, then rows of as many cells.

    path     the file.
    columns  the columns wanted, in this order; all if None. The others are not looked at.
    text     the columns that hold text; all others hold finite numbers and become float64.
    counts   the columns whose numbers must be whole and not negative.
    missing  what stands for a value that is not there, such as "NA" or "-"; read as NaN.
    ragged   columns may end early: blanks below the last value are allowed, blanks between values are not.
    unit     what times in the file are in, "s", "ms" or "us"; they become seconds: of all columns of numbers (not of
             `counts`), or {column: unit}.
    limit    the largest size in bytes, unpacked, that is read.

    Raises ValueError with file, line and column for anything else, and OSError for a file that cannot be opened.
    """
    name = Path(path).name
    for each in unit.values() if isinstance(unit, Mapping) else [unit]:
        if each not in SECONDS:
            raise ValueError(f"read_table: unit must be one of {', '.join(map(repr, SECONDS))}; got {each!r}")
    for option, given in (("columns", columns or ()), ("text", text), ("counts", counts), ("missing", missing)):
        if isinstance(given, str):
            raise ValueError(f"read_table: {option} must be a list of words, such as [{given!r}]; got {given!r}")
    if not limit > 0:
        raise ValueError(f"read_table: limit (bytes) must lie in (0, inf); got {limit!r}")
    twice = next((column for at, column in enumerate(columns or ()) if column in (columns or ())[:at]), None)
    if twice is not None:
        raise ValueError(f"read_table: columns must be named once each; {twice!r} is named twice")
    rows = _rows(name, _text(path, limit))
    header = _header(name, rows, [*(columns or ()), *text, *counts])
    wanted = list(header) if columns is None else columns
    found = {
        column: _Column(name, column, text=column in text, count=column in counts, ragged=ragged, missing=missing)
        for column in wanted
    }
    places = [(header[column], found[column]) for column in wanted]
    for line, cells in rows:
        if len(cells) != len(header):
            raise ValueError(f"{name} line {line} has {len(cells)} cells under {len(header)} columns")
        for place, column in places:
            column.append(line, cells[place])
    read = {column.name: column.finished() for column in found.values()}
    numbers = [each for each in read if each not in {*text, *counts}]
    timed = dict.fromkeys(numbers, unit) if isinstance(unit, str) else unit
    for series in timed:
        if series not in numbers:
            raise ValueError(f"read_table: unit is of columns of numbers, {', '.join(numbers)}; got {series!r}")
    for series, in_file in timed.items():
        if in_file != "s":
            read[series] = read[series] * SECONDS[in_file]
    return read
