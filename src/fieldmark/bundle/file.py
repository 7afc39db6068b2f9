"""Inspect, read and write model files: the only functions here that touch the disk.

Every refusal names the file as its ``where``. The format is described in :mod:`fieldmark.bundle`.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from fieldmark.bundle import container
from fieldmark.bundle.container import MANIFEST, MAX_BYTES, WEIGHTS, Member
from fieldmark.bundle.contents import Bundle, from_parts, is_text, network_id, to_parts
from fieldmark.bundle.refusal import refuse
from fieldmark.bundle.strangers import HEAD_BYTES, refuse_strangers
from fieldmark.bundle.strict_json import dump_json, load_json
from fieldmark.errors import BundleError, UsageError
from fieldmark.version import __version__

FORMAT: Final = 3
"""The newest format this version reads; what it writes is the oldest that holds all the parts."""

_MAX_MANIFEST_BYTES: Final = 1 << 20
_FIELDS: Final = {"format", "fieldmark", "name", "created", "network", "parts"}
_HASH: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a file, as the header states it."""

    name: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a file says about itself, before anything else in it is opened."""

    format: int
    version: str
    """Of the fieldmark that wrote it."""
    name: str
    created: str
    network: str
    """16 hex digits that differ whenever the layer list differs."""
    model_id: str
    """``sha256:`` and 64 hex digits, which name every byte of the file."""
    parts: tuple[Part, ...]
    """In the order of the file, without ``fieldmark.json`` itself."""


def inspect(path: Path | str) -> Header:
    """Read a file's header; neither the network nor any other part is opened.

    Raises
    ------
    UsageError
        ``no-model``: there is no such file.
    BundleError
        ``model-damaged``, ``model-newer`` or ``model-unsafe``.
    """
    with _opened(Path(path)) as stream:
        return _header(stream)[0]


def read(path: Path | str, *, weights: bool = False) -> Bundle:
    """Read a file; every part of it is compared with its hash.

    Parameters
    ----------
    path : Path or str
        A ``.fieldmark`` file.
    weights : bool, default=False
        Parse the weights too. Answering does not need them; writing the bundle again does.

    Raises
    ------
    UsageError
        ``no-model``: there is no such file.
    BundleError
        ``model-damaged``, ``model-newer`` or ``model-unsafe``.
    """
    with _opened(Path(path)) as stream:
        header, members = _header(stream)
        parts = {}
        for part, member in zip(header.parts, members[1:], strict=True):
            keep = weights or part.name != WEIGHTS
            parts[part.name] = container.contents(stream, member, sha256=part.sha256, keep=keep)
        if network_id(parts["network.txt"]) != header.network:
            refuse("model-damaged", f"{MANIFEST} states another network than network.txt.")
        return from_parts(
            parts,
            name=header.name,
            created=header.created,
            model_id=header.model_id,
            weights=weights,
        )


def write(path: Path | str, bundle: Bundle, *, overwrite: bool = False) -> str:
    """Write a file, all of it or none of it, and return its model id.

    Equal bundles give byte-identical files.

    Raises
    ------
    UsageError
        ``file-exists`` without ``overwrite``; ``no-folder``; ``weights-not-read`` if the bundle was
        read without its weights.
    BundleError
        If the file would be refused when read.
    """
    path = Path(path)
    with _placed(path):
        members, whole, tail = _encoded(bundle)
        pieces = [piece for m in members for piece in (m.local(), whole[m.name])]
        container.write_new(path, [*pieces, tail], overwrite=overwrite)
    return _model_id(whole[MANIFEST])


def _encoded(bundle: Bundle) -> tuple[Sequence[Member], dict[str, bytes], bytes]:
    parts = to_parts(bundle)
    if not is_text(bundle.created):
        refuse("model-damaged", "The date is not a text.")
    facts = {
        "format": container.format_of(parts),
        "fieldmark": __version__,
        "name": bundle.name,
        "created": bundle.created,
        "network": network_id(parts["network.txt"]),
        "parts": {
            name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for name, data in parts.items()
        },
    }
    manifest = dump_json(MANIFEST, facts)
    whole = {MANIFEST: manifest, **parts}
    if sum(map(len, whole.values())) > MAX_BYTES - (1 << 16) or len(manifest) > _MAX_MANIFEST_BYTES:
        refuse("model-unsafe", "The model is too large: a model file has 1 GiB at most.")
    members, tail = container.layout(
        (name, zlib.crc32(data), len(data)) for name, data in whole.items()
    )
    return members, whole, tail


def _model_id(manifest: bytes) -> str:
    return f"sha256:{hashlib.sha256(manifest).hexdigest()}"


@contextmanager
def _placed(path: Path) -> Iterator[None]:
    """Give every refusal inside its place."""
    try:
        yield
    except BundleError as error:
        error.where = error.where or str(path)
        raise


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    if not path.is_file():  # before opening: a pipe would wait for its writer
        raise UsageError(
            f"There is no model file {path.name!r}.",
            code="no-model",
            where=str(path),
            hint="name a .fieldmark file",
        )
    with _placed(path), path.open("rb") as stream:
        yield stream


def _header(stream: BinaryIO) -> tuple[Header, Sequence[Member]]:
    refuse_strangers(stream.read(HEAD_BYTES))
    members = container.directory(stream)
    first = container.check_first(stream, members, _MAX_MANIFEST_BYTES)
    manifest = container.contents(stream, first)
    facts = load_json(MANIFEST, manifest)
    if not isinstance(facts, dict) or type(facts.get("format")) is not int or facts["format"] < 1:
        refuse("model-damaged", f"{MANIFEST} states no format.")
    if facts["format"] > FORMAT:
        refuse(
            "model-newer",
            f"The file has format {facts['format']}; this version reads up to {FORMAT}.",
        )
    container.check_all(stream, members)
    if facts["format"] != container.format_of([member.name for member in members]):
        refuse("model-damaged", f"Format {facts['format']} does not have the parts of this file.")
    return _checked_header(facts, _model_id(manifest), members[1:]), members


def _checked_header(facts: dict[str, Any], model_id: str, members: Sequence[Member]) -> Header:
    texts = ("fieldmark", "name", "created", "network")
    stated = facts.get("parts")
    if set(facts) != _FIELDS or not all(is_text(facts[key]) for key in texts):
        refuse("model-damaged", f"{MANIFEST} does not have the fields of a model file.")
    if not isinstance(stated, dict) or set(stated) != {member.name for member in members}:
        refuse("model-damaged", f"{MANIFEST} and the file do not hold the same parts.")
    parts = []
    for member in members:
        entry = stated[member.name]
        good = isinstance(entry, dict) and set(entry) == {"size", "sha256"}
        good = good and type(entry["size"]) is int and is_text(entry["sha256"])
        if not good or entry["size"] != member.size_bytes or not _HASH.fullmatch(entry["sha256"]):
            refuse("model-damaged", f"{MANIFEST} states another size or hash of {member.name}.")
        parts.append(Part(member.name, entry["size"], entry["sha256"]))
    return Header(
        format=facts["format"],
        version=facts["fieldmark"],
        name=facts["name"],
        created=facts["created"],
        network=facts["network"],
        model_id=model_id,
        parts=tuple(parts),
    )
