"""Opens a file, whatever it is packed in: a zip of several files, a gz, one in the other, or none."""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from velocast.core.errors import CityRefused, CityTruncated

DATA_SUFFIXES = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet", ".xlsx", ".xls", ".gz")
OTHER_SUFFIXES = (".txt", ".dat", "")  # data, if nothing in the zip says so more clearly
_ZIP, _GZIP = b"PK\x03\x04", b"\x1f\x8b"
_BROKEN = (EOFError, zlib.error, zipfile.BadZipFile, gzip.BadGzipFile)


@dataclass(frozen=True)
class Member:
    """One unpacked file. open: gives its bytes from the start, each time it is called; place: for messages."""

    place: str
    open: Callable[[], BinaryIO]

    def head(self, size: int) -> bytes:
        """Return the first bytes. Raises CityTruncated for a packed file that breaks off."""
        with self.opened() as file:
            return file.read(size)

    @contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """Open the file; what goes wrong while it is unpacked becomes CityTruncated."""
        try:
            with self.open() as file:
                yield file
        except _BROKEN as exc:
            raise CityTruncated(
                f"{self.place}: the packed file is damaged or broke off: {exc}; get it again"
            ) from exc


def members(data: bytes | Path, place: str) -> list[Member]:
    """Return the files in `data`, in the order of their names. Raises CityRefused for a zip without a data file."""
    if isinstance(data, bytes):
        return _unpacked(Member(place, lambda: io.BytesIO(data)))
    return _unpacked(Member(place, lambda: data.open("rb")))


def _unpacked(member: Member) -> list[Member]:
    start = member.head(len(_ZIP))
    if start.startswith(_GZIP):
        return _unpacked(Member(member.place, lambda: _gunzipped(member.open())))
    if not start.startswith(_ZIP):
        return [member]
    with member.opened() as file, zipfile.ZipFile(_seekable(file)) as packed:
        names = sorted(info.filename for info in packed.infolist() if not info.is_dir())
    if "[Content_Types].xml" in names:
        return [member]  # a spreadsheet is a zip too
    chosen = _data_files(names)
    if not chosen:
        raise CityRefused(
            f"{member.place}: the zip holds no data file, but {', '.join(names[:10]) or 'nothing'}; "
            f"needs one that ends with {', '.join(DATA_SUFFIXES)}"
        )
    return [each for name in chosen for each in _unpacked(_zipped(member, name))]


def _zipped(member: Member, name: str) -> Member:
    def opened() -> BinaryIO:
        file = _seekable(member.open())
        return _Unpacked(zipfile.ZipFile(file).open(name), file)

    return Member(f"{member.place}/{name}", opened)


def _gunzipped(file: BinaryIO) -> BinaryIO:
    return _Unpacked(gzip.GzipFile(fileobj=file), file)


class _Unpacked(io.BufferedReader):
    """A file in another one, which is closed with it."""

    def __init__(self, unpacked: Any, packed: BinaryIO) -> None:
        super().__init__(unpacked)
        self._packed = packed

    def close(self) -> None:
        """Close both files."""
        super().close()
        self._packed.close()


def _seekable(file: BinaryIO) -> BinaryIO:
    return file if file.seekable() else io.BytesIO(file.read())


def _data_files(names: list[str]) -> list[str]:
    paths = [PurePosixPath(name) for name in names]
    shown = [p for p in paths if "__MACOSX" not in p.parts and not p.name.startswith(".")]
    for suffixes in (DATA_SUFFIXES, OTHER_SUFFIXES):
        if found := [str(p) for p in shown if p.suffix.lower() in suffixes]:
            return found
    return []
