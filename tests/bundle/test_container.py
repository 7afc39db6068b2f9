"""The one legal zip: whatever else a zip can be is refused, and by its name."""

from __future__ import annotations

import io
import os
import stat
import struct
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldmark import bundle, rng
from fieldmark.bundle import PARTS, container
from fieldmark.bundle.container import INT8, UNKNOWN
from fieldmark.errors import BundleError, UsageError


def refused(path: Path, match: str, code: str) -> None:
    for door in (bundle.inspect, bundle.read):
        with pytest.raises(BundleError, match=match) as caught:
            door(path)
        assert caught.value.code == code
        assert caught.value.where == str(path)
        assert caught.value.why
        assert caught.value.hint


def save(path: Path, data: bytes) -> Path:
    path = path.with_name("changed.fieldmark")
    path.write_bytes(data)
    return path


def test_other_zip_readers_open_the_file(model_file):
    with zipfile.ZipFile(model_file) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [name for name in PARTS if name not in (INT8, UNKNOWN)]
        for info in archive.infolist():
            assert info.compress_type == zipfile.ZIP_STORED
            assert info.date_time == (1980, 1, 1, 0, 0, 0)
            assert not info.extra
            assert not info.comment


@given(st.dictionaries(st.sampled_from(PARTS), st.binary(max_size=40), max_size=6))
def test_any_parts_become_a_zip_that_zipfile_reads(parts):
    members, tail = container.layout((n, zlib.crc32(d), len(d)) for n, d in parts.items())
    data = b"".join(member.local() + parts[member.name] for member in members) + tail
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == parts


def test_the_golden_file_is_refused_after_any_single_changed_byte(tiny, tmp_path):
    good = (Path(tiny.__file__).parent / "bundle_v1.fieldmark").read_bytes()
    draw = rng.derive(0, "flip")
    directory = good.index(b"PK\1\2")
    parts = draw.choice(directory, 600, replace=False).tolist()
    # All of what lies around the parts: no hash covers it, only the one legal form.
    starts = [at for at in range(directory) if good[at : at + 4] == b"PK\3\4"]
    headers = [at + step for at in starts for step in range(30)]
    path = tmp_path / "flipped.fieldmark"
    for at in {*parts, *headers, *range(directory, len(good))}:
        changed = bytearray(good)
        changed[at] ^= 1 << int(draw.integers(8))
        path.write_bytes(changed)
        with pytest.raises(BundleError, match=r"\[model-(damaged|unsafe)\]"):
            bundle.read(path)


@pytest.mark.parametrize("keep", [0, 1, 21, 22, 23, 200, 2000, -1, -22, -23])
def test_a_file_that_ends_too_early_is_refused(model_file, keep):
    path = save(model_file, model_file.read_bytes()[:keep])
    refused(path, "not a model file, or its end", "model-damaged")


@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n\x1a\n" * 9, b"PK\5\6", b"\0" * 4096])
def test_a_file_that_is_no_zip_is_refused(model_file, data):
    refused(save(model_file, data), "not a model file", "model-damaged")


def test_an_empty_zip_is_refused(model_file):
    path = save(model_file, b"PK\5\6" + bytes(18))
    refused(path, r"it has no fieldmark\.json", "model-damaged")


def test_another_zip_is_refused(model_file):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("readme.txt", "hello")
    refused(save(model_file, stream.getvalue()), r"it has no fieldmark\.json", "model-damaged")


@pytest.mark.parametrize(("before", "after"), [(b"#!/bin/sh\n", b""), (b"", b"tail"), (b"x", b"y")])
def test_bytes_around_the_zip_are_refused(model_file, before, after):
    path = save(model_file, before + model_file.read_bytes() + after)
    refused(path, "is damaged|its end is missing", "model-damaged")


def test_a_comment_is_refused(model_file):
    data = model_file.read_bytes()
    path = save(model_file, data[:-2] + b"\2\0hi")
    refused(path, "not a model file, or its end", "model-damaged")


def rezip(parts: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, data in parts.items():
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return stream.getvalue()


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compressed_parts_are_refused(model_file, parts_of, method):
    path = save(model_file, rezip(parts_of, method))
    refused(path, r"fieldmark\.json is compressed", "model-unsafe")


def test_one_compressed_part_is_refused(model_file, parts_of):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in parts_of.items():
            squeezed = name == "model.onnx"
            method = zipfile.ZIP_DEFLATED if squeezed else zipfile.ZIP_STORED
            info = zipfile.ZipInfo(name)
            info.external_attr = 0o100644 << 16
            archive.writestr(info, data, method)
    refused(save(model_file, stream.getvalue()), r"model\.onnx is compressed", "model-unsafe")


def test_a_file_zipped_again_by_another_tool_is_refused(model_file, parts_of):
    refused(save(model_file, rezip(parts_of)), "is damaged", "model-damaged")


HOSTILE_NAMES = [
    ("/etc/cron.d/x", "points outside"),
    ("\\\\server\\x", "points outside"),
    ("../x", "points outside"),
    ("golden/../../x", "points outside"),
    ("golden\\..\\x", "points outside"),
    ("C:/x", "points outside"),
    ("..", "points outside"),
    ("evil.pkl", "does not belong there"),
    ("golden/", "does not belong there"),
    ("Model.onnx", "does not belong there"),
    ("model.onnx\0", "does not belong there"),
    ("", "does not belong there"),
    ("é\n" * 300, "does not belong there"),
]


@pytest.mark.parametrize(("name", "words"), HOSTILE_NAMES)
def test_names_that_do_not_belong_are_refused(forge, parts_of, name, words):
    path = forge({**parts_of, name: b"payload"})
    refused(path, words, "model-unsafe")


def test_a_name_that_is_no_text_is_refused(model_file, parts_of, pack):
    data = pack([*parts_of.items(), ("xxx", b"")]).replace(b"xxx", b"\xff\xfe\xfd")
    refused(save(model_file, data), "does not belong there", "model-unsafe")


def test_a_part_given_twice_is_refused(model_file, parts_of, pack):
    twice = [*parts_of.items(), ("model.onnx", b"another")]
    refused(save(model_file, pack(twice)), r"model\.onnx more than once", "model-unsafe")


def test_a_second_manifest_is_refused(model_file, parts_of, pack):
    twice = [*parts_of.items(), ("fieldmark.json", b"{}")]
    refused(save(model_file, pack(twice)), r"fieldmark\.json more than once", "model-unsafe")


@pytest.mark.parametrize("name", [n for n in PARTS if n not in container._OPTIONAL][1:])
def test_a_missing_part_is_refused(forge, parts_of, name):
    del parts_of[name]
    refused(forge(parts_of), f"has no {name}", "model-damaged")


def test_optional_parts_may_be_missing(forge, parts_of):
    for name in container._OPTIONAL - {INT8, UNKNOWN}:
        del parts_of[name]
    found = bundle.read(forge(parts_of), weights=True)
    assert (dict(found.weights), found.recipe, found.report, found.card) == ({}, "", {}, "")


def test_parts_in_another_order_are_refused(model_file, parts_of, pack):
    first, *others = parts_of.items()
    refused(save(model_file, pack([first, *others[::-1]])), "is damaged", "model-damaged")
    refused(save(model_file, pack([*others, first])), "is damaged", "model-damaged")


def test_a_gap_between_parts_is_refused(model_file, parts_of):
    parts = [(n, zlib.crc32(d), len(d)) for n, d in parts_of.items()]
    members, _ = container.layout(parts)
    shifted = [
        container.Member(m.name, 0, m.crc, m.size_bytes, m.size_bytes, m.offset + 5 * (i > 0))
        for i, m in enumerate(members)
    ]
    body = b""
    for i, member in enumerate(shifted):
        body += (b"\0" * 5 if i == 1 else b"") + member.local() + parts_of[member.name]
    entries = b"".join(member.central() for member in shifted)
    n = len(shifted)
    end = container._END.pack(b"PK\5\6", 0, 0, n, n, len(entries), len(body), 0)
    path = save(model_file, body + entries + end)
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
    refused(path, "do not lie where", "model-damaged")


def test_overlapping_parts_are_refused(model_file):
    data = bytearray(model_file.read_bytes())
    second = data.index(b"PK\1\2", data.index(b"PK\1\2") + 4)
    struct.pack_into("<I", data, second + 42, 0)
    refused(save(model_file, bytes(data)), "do not lie where", "model-damaged")


def test_a_part_larger_than_the_file_is_refused_without_reading_it(model_file):
    data = bytearray(model_file.read_bytes())
    last = data.rindex(b"PK\1\2")
    struct.pack_into("<II", data, last + 20, 0xFFFFFFFF, 0xFFFFFFFF)
    refused(save(model_file, bytes(data)), "directory is damaged", "model-damaged")


def test_a_directory_with_too_many_members_is_refused_before_it_is_read(model_file, pack):
    path = save(model_file, pack([(f"part{i}", b"") for i in range(65)]))
    refused(path, "directory is damaged", "model-damaged")


def test_a_directory_that_claims_more_members_than_it_has_is_refused(model_file):
    data = bytearray(model_file.read_bytes())
    struct.pack_into("<HH", data, len(data) - 14, 13, 13)
    refused(save(model_file, bytes(data)), "directory is damaged", "model-damaged")


def test_a_file_above_one_gibibyte_is_refused_without_reading_it(model_file):
    with model_file.open("r+b") as stream:
        stream.truncate(bundle.MAX_BYTES + 1)  # sparse: takes no space
    refused(model_file, "1 GiB at most", "model-unsafe")


def test_a_manifest_above_one_mebibyte_is_refused_without_reading_it(model_file, parts_of, pack):
    parts_of["fieldmark.json"] = b" " * ((1 << 20) + 1)
    path = save(model_file, pack([*parts_of.items()]))
    refused(path, "1 MiB is the most", "model-unsafe")


def test_writing_leaves_nothing_else_in_the_folder(model_file):
    assert [*model_file.parent.iterdir()] == [model_file]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(model_file, tiny, monkeypatch):
    before = model_file.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        bundle.write(model_file, tiny.tiny_bundle(1.0), overwrite=True)
    assert model_file.read_bytes() == before
    assert [*model_file.parent.iterdir()] == [model_file]


def test_the_bytes_reach_the_disk_before_the_name(tmp_path, monkeypatch):
    path = tmp_path / "new.fieldmark"
    seen = []
    real = os.fsync

    def watch(handle: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(handle).st_mode)
        seen.append((is_folder, path.exists()))
        real(handle)

    monkeypatch.setattr(os, "fsync", watch)
    container.write_new(path, [b"a", b"b"], overwrite=False)
    assert seen == [(False, False), (True, True)]
    assert path.read_bytes() == b"ab"


def test_nothing_is_overwritten_unasked(model_file, tiny):
    before = model_file.read_bytes()
    with pytest.raises(UsageError, match="exists already") as caught:
        bundle.write(model_file, tiny.tiny_bundle(1.0))
    assert caught.value.code == "file-exists"
    assert model_file.read_bytes() == before
    bundle.write(model_file, tiny.tiny_bundle(1.0), overwrite=True)
    assert model_file.read_bytes() != before


def test_a_missing_folder_is_named(tmp_path, tiny):
    with pytest.raises(UsageError, match="no folder") as caught:
        bundle.write(tmp_path / "missing" / "x.fieldmark", tiny.tiny_bundle())
    assert caught.value.code == "no-folder"
    assert not (tmp_path / "missing").exists()


def test_the_file_has_the_permissions_of_any_new_file(model_file, tmp_path):
    (tmp_path / "ordinary").write_bytes(b"")
    assert model_file.stat().st_mode == (tmp_path / "ordinary").stat().st_mode


@pytest.mark.parametrize("name", ["card.md", "network.txt", "report.json", "classes.json"])
def test_a_text_of_900_megabytes_is_refused_before_it_is_read(name, model_file, tmp_path):
    with zipfile.ZipFile(model_file) as archive:
        parts = {each: archive.read(each) for each in archive.namelist()}
    parts[name] = b""
    pieces = {each: parts[each] for each in PARTS if each in parts}
    huge = 900_000_000
    members, tail = container.layout(
        (each, zlib.crc32(data), huge if each == name else len(data))
        for each, data in pieces.items()
    )
    path = tmp_path / "huge.fieldmark"
    with path.open("wb") as stream:  # the hole in it takes no disk
        for member in members:
            stream.seek(member.offset)
            stream.write(member.local() + pieces[member.name])
        stream.seek(members[-1].offset + len(members[-1].local()) + members[-1].size_bytes)
        stream.write(tail)
    tracemalloc.start()
    refused(path, f"{name} has 900,000,000 bytes; .* is most", "model-unsafe")
    taken = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert taken < 10_000_000
