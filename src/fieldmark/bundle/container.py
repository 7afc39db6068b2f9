"""The zip around the parts, of which there is exactly one legal form.

Every byte between the parts follows from their names, sizes and checksums, so a file is compared
with what :func:`layout` gives and whatever differs is refused: hidden members, prefixes, comments,
trailing bytes, two directories that disagree. ``zipfile`` reads such a file; it is not used here
because it accepts all of those, and because a directory of millions of members would fill the
memory first.
"""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from fieldmark.atomic import write_whole
from fieldmark.bundle import strict_json
from fieldmark.bundle.refusal import refuse
from fieldmark.errors import UsageError

MAX_BYTES: Final = 1 << 30
"""The largest model file that is opened or written, 1 GiB."""

MANIFEST: Final = "fieldmark.json"
WEIGHTS: Final = "weights.safetensors"
INT8: Final = "model.int8.onnx"
UNKNOWN: Final = "unknown.safetensors"

PARTS: Final = (
    MANIFEST,
    "network.txt",
    "model.onnx",
    INT8,
    WEIGHTS,
    "classes.json",
    "input.json",
    "decision.json",
    UNKNOWN,
    "recipe.toml",
    "report.json",
    "card.md",
    "golden/inputs.npy",
    "golden/scores.npy",
)
"""Every part there can be, in the order of the file."""

_OPTIONAL: Final = frozenset({INT8, WEIGHTS, UNKNOWN, "recipe.toml", "report.json", "card.md"})

MAX_TEXT_BYTES: Final = 4 << 20
_MOST_BYTES: Final = {
    ".json": strict_json.MAX_BYTES,
    **dict.fromkeys((".txt", ".toml", ".md"), MAX_TEXT_BYTES),
}
"""Of one part, by the end of its name; what is not here is bounded by the file."""

_MAX_MEMBERS: Final = 64  # of any format to come; bounds what is read before anything is known
_MAX_DIRECTORY_BYTES: Final = 1 << 16
_CHUNK: Final = 1 << 20

_LOCAL: Final = struct.Struct("<4s5H3I2H")
_CENTRAL: Final = struct.Struct("<4s6H3I5H2I")
_END: Final = struct.Struct("<4s4H2IH")
_DATE: Final = 1 << 5 | 1  # 1980-01-01, the zero of zip
_ZIP_VERSION: Final = 20
_UNIX: Final = 3 << 8
_MODE: Final = 0o100644 << 16


@dataclass(frozen=True, slots=True)
class Member:
    """One entry of the zip's directory."""

    name: str
    method: int
    crc: int
    packed_bytes: int
    size_bytes: int
    offset: int
    """Of its local header."""

    def local(self) -> bytes:
        """Return the header that stands before the contents."""
        name = self.name.encode()
        sizes = (self.crc, self.size_bytes, self.size_bytes)
        return _LOCAL.pack(b"PK\3\4", _ZIP_VERSION, 0, 0, 0, _DATE, *sizes, len(name), 0) + name

    def central(self) -> bytes:
        """Return the entry in the directory at the end."""
        name = self.name.encode()
        return (
            _CENTRAL.pack(
                b"PK\1\2",
                *(_UNIX | _ZIP_VERSION, _ZIP_VERSION, 0, 0, 0, _DATE),
                *(self.crc, self.size_bytes, self.size_bytes),
                *(len(name), 0, 0, 0, 0),
                *(_MODE, self.offset),
            )
            + name
        )


def format_of(parts: Iterable[str]) -> int:
    """Return the one format that a file of these parts has: the oldest that knows all of them.

    So that an older reader opens every file that holds nothing new to it.

    Examples
    --------
    >>> format_of(["fieldmark.json", "model.onnx"]), format_of(["fieldmark.json", INT8])
    (1, 2)
    """
    held = set(parts)
    return 3 if UNKNOWN in held else 2 if INT8 in held else 1


def layout(parts: Iterable[tuple[str, int, int]]) -> tuple[tuple[Member, ...], bytes]:
    """Return the members and the closing directory for (name, CRC-32, size in bytes) of each part.

    Pure.
    """
    members = []
    offset = 0
    for name, crc, size in parts:
        members.append(Member(name, 0, crc, size, size, offset))
        offset += len(members[-1].local()) + size
    entries = b"".join(member.central() for member in members)
    n = len(members)
    return tuple(members), entries + _END.pack(b"PK\5\6", 0, 0, n, n, len(entries), offset, 0)


def directory(stream: BinaryIO) -> tuple[Member, ...]:
    """Read the zip's directory, which must be small and end the file; judge nothing else yet."""
    size = stream.seek(0, os.SEEK_END)
    if size > MAX_BYTES:
        refuse("model-unsafe", f"The file has {size:,} bytes; a model file has 1 GiB at most.")
    stream.seek(max(0, size - _END.size))
    end = stream.read(_END.size)
    if len(end) < _END.size or end[:4] != b"PK\5\6":
        refuse("model-damaged", "This is not a model file, or its end is missing.")
    _, _, _, _, n, length, start, _ = _END.unpack(end)
    if start + length + _END.size != size or n > _MAX_MEMBERS or length > _MAX_DIRECTORY_BYTES:
        refuse("model-damaged", "The file's directory is damaged.")
    stream.seek(start)
    data = stream.read(length)
    members = []
    at = 0
    for _ in range(n):
        if at + _CENTRAL.size > length or data[at : at + 4] != b"PK\1\2":
            refuse("model-damaged", "The file's directory is damaged.")
        fields = _CENTRAL.unpack_from(data, at)
        method, crc, packed, unpacked, name_length, offset = (
            fields[i] for i in (4, 7, 8, 9, 10, 16)
        )
        at += _CENTRAL.size
        name = data[at : at + name_length].decode("utf-8", "replace")
        at += sum(fields[10:13])  # the name, extra fields, the comment
        members.append(Member(name, method, crc, packed, unpacked, offset))
    return tuple(members)


def check_first(stream: BinaryIO, members: Sequence[Member], max_bytes: int) -> Member:
    """Return the manifest's entry if it can be read safely, whatever the format of the rest."""
    found = [member for member in members if member.name == MANIFEST]
    if not found:
        refuse("model-damaged", f"This is not a model file: it has no {MANIFEST}.")
    first = found[0]
    if first.size_bytes > max_bytes:
        refuse("model-unsafe", f"{MANIFEST} has {first.size_bytes:,} bytes; 1 MiB is the most.")
    _check_stored(first)
    _check_header(stream, first)
    return first


def check_all(stream: BinaryIO, members: Sequence[Member]) -> None:
    """Refuse a zip that is not, byte for byte between its parts, the one that fieldmark writes."""
    names = [member.name for member in members]
    for member in members:
        _check_name(member.name)
        _check_size(member)
        _check_stored(member)
        if names.count(member.name) > 1:
            refuse("model-unsafe", f"The file holds {member.name} more than once.")
    missing = [name for name in PARTS if name not in names and name not in _OPTIONAL]
    if missing:
        refuse("model-damaged", f"The file has no {', '.join(missing)}.")
    size = stream.seek(0, os.SEEK_END)
    in_order = names == [name for name in PARTS if name in names]
    if not in_order or sum(member.size_bytes for member in members) > size:
        refuse("model-damaged", "The file's directory is damaged.")
    expected, tail = layout((member.name, member.crc, member.size_bytes) for member in members)
    if expected != tuple(members) or _end_of(expected) + len(tail) != size:
        refuse("model-damaged", "The file's parts do not lie where fieldmark puts them.")
    stream.seek(size - len(tail))
    if stream.read(len(tail)) != tail:
        refuse("model-damaged", "The file's directory is damaged.")
    for member in members:
        _check_header(stream, member)


def _end_of(members: Sequence[Member]) -> int:
    last = members[-1]
    return last.offset + len(last.local()) + last.size_bytes


def _check_name(name: str) -> None:
    shown = repr(name[:80])
    if name.startswith(("/", "\\")) or ":" in name or ".." in name.replace("\\", "/").split("/"):
        refuse("model-unsafe", f"The file holds a part that points outside it: {shown}.")
    if name not in PARTS:
        refuse("model-unsafe", f"The file holds a part that does not belong there: {shown}.")


def _check_size(member: Member) -> None:
    most = _MOST_BYTES.get(Path(member.name).suffix)
    if most is not None and member.size_bytes > most:
        refuse("model-unsafe", f"{member.name} has {member.size_bytes:,} bytes; {most:,} is most.")


def _check_stored(member: Member) -> None:
    if member.method != 0 or member.packed_bytes != member.size_bytes:
        refuse("model-unsafe", f"{member.name} is compressed; parts are stored as they are.")


def _check_header(stream: BinaryIO, member: Member) -> None:
    expected = member.local()
    stream.seek(member.offset)
    if stream.read(len(expected)) != expected:
        refuse("model-damaged", f"The header of {member.name} is damaged.")


def contents(stream: BinaryIO, member: Member, *, sha256: str = "", keep: bool = True) -> bytes:
    """Read one part of a checked member and compare its checksum, and its hash where one is given.

    With ``keep`` false the part is only compared, in pieces, and nothing is returned.
    """
    stream.seek(member.offset + len(member.local()))
    left = member.size_bytes
    digest = hashlib.sha256()
    crc = 0
    kept = b""
    while left:
        piece = stream.read(left if keep else min(left, _CHUNK))
        if not piece:
            refuse("model-damaged", f"{member.name} ends too early.")
        digest.update(piece)
        crc = zlib.crc32(piece, crc)
        left -= len(piece)
        if keep:
            kept = kept + piece if kept else piece
    if crc != member.crc or (sha256 and digest.hexdigest() != sha256):
        refuse("model-damaged", f"{member.name} has changed since the file was written.")
    return kept


def write_new(path: Path, pieces: Iterable[bytes], *, overwrite: bool) -> None:
    """Give ``path`` these bytes, all of them or none.

    They go to a temporary name in the same folder, reach the disk, and then take the name.

    Raises
    ------
    UsageError
        ``no-folder``, or ``file-exists`` without ``overwrite``.
    """
    if not path.parent.is_dir():
        raise UsageError(
            f"There is no folder {path.parent}.",
            code="no-folder",
            where=str(path),
            hint="make the folder, or choose another place",
        )
    if path.exists() and not overwrite:
        raise UsageError(
            f"{path.name} exists already.",
            code="file-exists",
            where=str(path),
            why="Nothing is overwritten unasked.",
            hint="choose another name, or ask for overwriting",
        )
    write_whole(path, pieces)
