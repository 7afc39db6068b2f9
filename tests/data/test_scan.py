from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from fieldmark.data import files, scan
from fieldmark.data.manifest import Example, Manifest
from fieldmark.errors import DataError, UsageError

MakeFolder = Callable[..., Path]

TWO = ("cat/1.jpg", "cat/2.jpg", "dog/3.jpg", "dog/4.png")


def codes(manifest: Manifest) -> dict[str, str]:
    return {entry.path: entry.code for entry in manifest.left_out}


def labels(manifest: Manifest) -> dict[str, str]:
    return {example.path: example.label for example in manifest.examples}


def refused(root: Path, **options: object) -> DataError:
    with pytest.raises(DataError, match=r"\w") as caught:
        scan.scan(root, **options)  # type: ignore[arg-type]
    return caught.value


# --- class folders


def test_class_folders_give_the_labels(make_folder: MakeFolder) -> None:
    manifest = scan.scan(make_folder(*TWO))
    assert labels(manifest) == dict(zip(TWO, ["cat", "cat", "dog", "dog"], strict=True))
    assert manifest.classes == ("cat", "dog")
    assert manifest.layout == "folders"
    assert manifest.left_out == ()
    assert {example.split for example in manifest.examples} == {None}


def test_pictures_deeper_down_belong_to_the_top_class(make_folder: MakeFolder) -> None:
    manifest = scan.scan(make_folder(*TWO, "cat/2021/may/9.jpg"))
    assert labels(manifest)["cat/2021/may/9.jpg"] == "cat"


def test_class_names_are_text_and_sorted_as_text(make_folder: MakeFolder) -> None:
    manifest = scan.scan(
        make_folder("10/a.png", "9/b.png", "2/c.png", "Zebra/d.png", "apple/e.png")
    )
    assert manifest.classes == ("10", "2", "9", "Zebra", "apple")


@pytest.mark.parametrize("suffix", [".jpg", ".JPG", ".JPEG", ".png", ".webp", ".heic", ".tif"])
def test_known_suffixes_are_tried_in_any_case(suffix: str, make_folder: MakeFolder) -> None:
    manifest = scan.scan(make_folder(*TWO, f"cat/x{suffix}"))
    assert len(manifest.examples) == 5


@pytest.mark.parametrize("name", ["notes.txt", "movie.mp4", "x.svg", "noending", "x.jpg.zip"])
def test_everything_else_is_left_out_by_name(name: str, make_folder: MakeFolder) -> None:
    manifest = scan.scan(make_folder(*TWO, f"cat/{name}"))
    assert codes(manifest) == {f"cat/{name}": "not-a-picture"}


def test_a_folder_without_any_picture_is_no_class(make_folder: MakeFolder) -> None:
    manifest = scan.scan(make_folder(*TWO, "documents/readme.txt"))
    assert manifest.classes == ("cat", "dog")
    assert codes(manifest) == {"documents/readme.txt": "not-a-picture"}


def test_used_plus_left_out_is_everything_found(make_folder: MakeFolder) -> None:
    names = [*TWO, "loose.jpg", "Thumbs.db", "cat/.DS_Store", "dog/readme.txt", "cat/sub/5.gif"]
    manifest = scan.scan(make_folder(*names))
    assert len(manifest.examples) + len(manifest.left_out) == len(names)
    assert codes(manifest) == {
        "loose.jpg": "no-class-folder",
        "Thumbs.db": "system-file",
        "cat/.DS_Store": "system-file",
        "dog/readme.txt": "not-a-picture",
    }


def test_scanning_opens_no_picture(
    make_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_folder(*TWO)

    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("a picture was opened")

    monkeypatch.setattr(files, "opened", forbidden)
    monkeypatch.setattr("builtins.open", forbidden)
    assert len(scan.scan(root).examples) == 4


# --- ready-made parts


@pytest.mark.parametrize(
    ("train", "test"),
    [("train", "test"), ("training_set", "test_set"), ("Training", "TEST")],
)
def test_ready_made_parts_are_kept(train: str, test: str, make_folder: MakeFolder) -> None:
    names = [f"{part}/{label}/1.jpg" for part in (train, test) for label in ("cat", "dog")]
    manifest = scan.scan(make_folder(*names))
    assert manifest.layout == "parts"
    assert manifest.classes == ("cat", "dog")
    assert {e.path: e.split for e in manifest.examples} == {
        path: "train" if path.startswith(train) else "test" for path in names
    }


@pytest.mark.parametrize("word", ["val", "valid", "validation", "Validation"])
def test_a_validation_part_goes_by_many_names(word: str, make_folder: MakeFolder) -> None:
    parts = ("train", word, "test")
    manifest = scan.scan(make_folder(*(f"{p}/{c}/1.jpg" for p in parts for c in ("a", "b"))))
    assert Counter(e.split for e in manifest.examples) == {"train": 2, "valid": 2, "test": 2}


def test_what_lies_beside_the_parts_is_left_out(make_folder: MakeFolder) -> None:
    names = [f"{part}/{label}/1.jpg" for part in ("train", "test") for label in ("cat", "dog")]
    root = make_folder(*names, "single_prediction/x.jpg", "loose.jpg", "train/loose.jpg")
    assert codes(scan.scan(root)) == {
        "single_prediction/x.jpg": "outside-parts",
        "loose.jpg": "outside-parts",
        "train/loose.jpg": "no-class-folder",
    }


def test_a_class_may_be_called_train(make_folder: MakeFolder) -> None:
    manifest = scan.scan(make_folder("train/1.jpg", "car/2.jpg", "ship/3.jpg"))
    assert manifest.layout == "folders"
    assert manifest.classes == ("car", "ship", "train")


def test_a_training_folder_alone_is_a_part(make_folder: MakeFolder) -> None:
    manifest = scan.scan(make_folder("train/cat/1.jpg", "train/dog/2.jpg"))
    assert manifest.layout == "parts"
    assert {example.split for example in manifest.examples} == {"train"}


def test_two_folders_for_one_part_are_refused(make_folder: MakeFolder) -> None:
    root = make_folder("train/a/1.jpg", "training/b/1.jpg", "test/a/1.jpg")
    error = refused(root)
    assert error.code == "parts-collide"
    assert "train, training" in error.what


@pytest.mark.parametrize("part", ["test", "valid"])
def test_a_class_that_training_lacks_is_refused(part: str, make_folder: MakeFolder) -> None:
    names = ["train/cat/1.jpg", "train/dog/1.jpg", f"{part}/cat/2.jpg", f"{part}/owl/2.jpg"]
    error = refused(make_folder(*names))
    assert error.code == "class-only-in-test"
    assert "owl" in error.what
    assert "cat" not in error.what


def test_a_class_may_be_missing_from_the_test_part(make_folder: MakeFolder) -> None:
    manifest = scan.scan(make_folder("train/cat/1.jpg", "train/dog/1.jpg", "test/cat/2.jpg"))
    assert manifest.counts("test") == {"cat": 1, "dog": 0}


# --- lists


def test_a_list_stands_for_its_folder(make_folder: MakeFolder) -> None:
    root = make_folder(
        "x/1.jpg", "x/2.jpg", contents={"l.csv": b"path,label\nx/1.jpg,a\nx/2.jpg,b\n"}
    )
    manifest = scan.scan(root / "l.csv")
    assert manifest.root == root
    assert manifest.layout == "csv"
    assert labels(manifest) == {"x/1.jpg": "a", "x/2.jpg": "b"}


def test_with_a_folder_and_a_list_unlisted_pictures_are_left_out(make_folder: MakeFolder) -> None:
    listed = {"l.csv": b"path,label\n1.jpg,a\n2.jpg,b\n9.jpg,a\n"}
    root = make_folder("1.jpg", "2.jpg", "3.jpg", "x.txt", ".hidden", contents=listed)
    manifest = scan.scan(root, labels=root / "l.csv")
    assert labels(manifest) == {"1.jpg": "a", "2.jpg": "b"}
    assert codes(manifest) == {
        "9.jpg": "vanished",
        "3.jpg": "not-listed",
        "x.txt": "not-a-picture",
        ".hidden": "system-file",
    }


def test_a_list_of_nothing_says_why(make_folder: MakeFolder) -> None:
    root = make_folder(contents={"l.csv": b"path,label\n1.jpg,a\n2.jpg,b\n"})
    error = refused(root / "l.csv")
    assert error.code == "no-classes"
    assert "2: in the list, but not on the disk" in error.why


def test_a_list_may_give_parts(make_folder: MakeFolder) -> None:
    text = b"path,label,split\n1.jpg,a,train\n2.jpg,b,train\n3.jpg,a,test\n"
    manifest = scan.scan(make_folder("1.jpg", "2.jpg", "3.jpg", contents={"l.csv": text}) / "l.csv")
    assert [example.split for example in manifest.examples] == ["train", "train", "test"]


# --- labels in names


def test_a_pattern_finds_the_label_in_the_name(make_folder: MakeFolder) -> None:
    root = make_folder("oak_1.jpg", "deep/ash_2.jpg", "oak_3.jpg", "unnamed.jpg", "x.txt")
    manifest = scan.scan(root, label_from=r"name:^(\w+?)_")
    assert manifest.layout == "name"
    assert labels(manifest) == {"oak_1.jpg": "oak", "deep/ash_2.jpg": "ash", "oak_3.jpg": "oak"}
    assert codes(manifest) == {"unnamed.jpg": "no-label-in-name", "x.txt": "not-a-picture"}


def test_a_pattern_works_within_ready_made_parts(make_folder: MakeFolder) -> None:
    root = make_folder("train/a_1.jpg", "train/b_1.jpg", "test/a_2.jpg")
    manifest = scan.scan(root, label_from="name:^([ab])_")
    assert [(e.label, e.split) for e in manifest.examples] == [
        ("a", "test"),
        ("a", "train"),
        ("b", "train"),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nams:x", "neither folder nor name"),
        ("", "neither folder nor name"),
        ("name:(", "no regular expression"),
        ("name:abc", "no group"),
        ("name:(?:abc)", "no group"),
    ],
)
def test_a_pattern_without_sense_is_refused(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        scan.scan(tmp_path, label_from=text)
    assert caught.value.code == "label-from"


# --- folders that cannot be learned from


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    error = refused(tmp_path / "fotos")
    assert error.code == "no-folder"
    assert "fotos" in error.what
    assert "does not exist" in error.what


def test_a_file_is_not_a_folder(make_folder: MakeFolder) -> None:
    assert "is a file" in refused(make_folder("1.jpg") / "1.jpg").what


def test_loose_pictures_are_counted_and_their_words_offered(
    make_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = {"oak": 6, "ash": 5, "elm": 4, "beech": 3}
    names = [f"{word}_{number}.jpg" for word, count in words.items() for number in range(count)]
    root = make_folder(*names, name="fotos")
    monkeypatch.chdir(root.parent)
    error = refused(Path("fotos"))
    assert error.code == "no-classes"
    assert error.what == 'no pictures in class folders under "fotos".'
    assert error.why == (
        "It holds 18 pictures directly, in no sub-folder. Their names start with 4 words: "
        "oak_ (6), ash_ (5), elm_ (4), beech_ (3)."
    )
    assert error.hint == (
        "If that word is the label:  fieldmark train fotos --label-from 'name:^(\\w+?)_'\n"
        "If you have a list:         fieldmark train fotos --labels list.csv"
    )


@pytest.mark.parametrize(
    "names",
    [
        ["oak_1.jpg", "oak_2.jpg", "ash_3.jpg", "ash_4.jpg"],
        ["oak-1.jpg", "oak-2.jpg", "ash-3.jpg", "ash-4.jpg"],
        ["oak1.jpg", "oak2.jpg", "ash3.jpg", "ash14.jpg"],
        ["oak (1).jpg", "oak (2).jpg", "ash (3).jpg", "ash (14).jpg"],
        ["7_a_1.jpg", "7_b_1.jpg", "8_a_1.jpg", "8_b_1.jpg"],
    ],
)
def test_the_command_that_is_offered_works(names: list[str], make_folder: MakeFolder) -> None:
    root = make_folder(*names)
    hint = refused(root).hint
    pattern = hint.split("--label-from '")[1].split("'")[0]
    manifest = scan.scan(root, label_from=pattern)
    assert Counter(manifest.counts().values()) == {2: 2}
    assert all(f"{name}" in refused(root).why for name in manifest.classes)


@pytest.mark.parametrize(
    "names",
    [
        ["IMG_1.jpg", "IMG_2.jpg", "IMG_3.jpg"],
        ["a_1.jpg", "b_1.jpg", "c_1.jpg", "d_1.jpg", "e_1.jpg"],
    ],
)
def test_names_that_tell_nothing_are_not_offered(names: list[str], make_folder: MakeFolder) -> None:
    error = refused(make_folder(*names))
    assert "--label-from" not in error.hint
    assert "--labels list.csv" in error.hint


def test_a_folder_name_with_a_space_is_quoted_in_the_command(make_folder: MakeFolder) -> None:
    root = make_folder("oak_1.jpg", "oak_2.jpg", "ash_3.jpg", "ash_4.jpg", name="my trees")
    assert f"fieldmark train '{root}' --label-from" in refused(root).hint


def test_a_folder_without_pictures_says_what_it_holds(make_folder: MakeFolder) -> None:
    error = refused(make_folder("a.txt", "b.txt", "c.pdf"))
    assert error.code == "no-classes"
    assert "no pictures at all" in error.why
    assert "2: suffix .txt" in error.why


def test_a_pattern_that_fits_nothing_says_so(make_folder: MakeFolder) -> None:
    error = refused(make_folder("oak_1.jpg", "ash_2.jpg"), label_from="name:^x(y)")
    assert error.code == "no-classes"
    assert "do not fit the pattern" in error.why


def test_one_class_is_nothing_to_tell_apart(make_folder: MakeFolder) -> None:
    error = refused(make_folder("cat/1.jpg", "cat/2.jpg"))
    assert error.code == "one-class"
    assert "2 pictures" in error.what
    assert "cat" in error.what


def test_an_empty_class_is_named(make_folder: MakeFolder) -> None:
    root = make_folder(*TWO)
    (root / "owl").mkdir()
    error = refused(root)
    assert error.code == "empty-class"
    assert "1 class folder without a file: owl" in error.what


def test_a_class_of_system_files_only_is_empty(make_folder: MakeFolder) -> None:
    assert refused(make_folder(*TWO, "owl/.DS_Store")).code == "empty-class"


def test_an_empty_class_in_a_part_is_named_with_its_part(make_folder: MakeFolder) -> None:
    root = make_folder("train/cat/1.jpg", "train/dog/1.jpg", "test/cat/2.jpg")
    (root / "test" / "dog").mkdir()
    (root / "empty but no class").mkdir()
    assert "test/dog." in refused(root).what


@pytest.mark.parametrize(
    ("first", "second"), [("Cat", "cat"), ("caf\u00e9", "cafe\u0301"), ("STRASSE", "straße")]
)
def test_names_that_are_one_folder_elsewhere_are_refused(
    first: str, second: str, make_folder: MakeFolder
) -> None:
    root = make_folder(f"{first}/1.jpg", "dog/1.jpg")
    if (root / second).exists():
        pytest.skip("this file system takes both names for one")
    make_folder(f"{second}/2.jpg")
    error = refused(root)
    assert error.code == "class-names-collide"
    assert "dog" not in error.what


def test_collisions_between_parts_are_found_too(make_folder: MakeFolder) -> None:
    root = make_folder("train/Cat/1.jpg", "train/dog/1.jpg", "test/cat/2.jpg", "test/dog/2.jpg")
    assert refused(root).code == "class-names-collide"


def test_accents_are_stored_in_one_way(make_folder: MakeFolder) -> None:
    manifest = scan.scan(make_folder("cafe\u0301/1.jpg", "dog/1.jpg"))
    assert manifest.classes == ("caf\u00e9", "dog")
    assert {e.label for e in manifest.examples} == {"caf\u00e9", "dog"}


@pytest.mark.skipif(os.name != "posix", reason="names are bytes on POSIX only")
def test_a_class_name_that_is_no_text_is_refused(make_folder: MakeFolder) -> None:
    root = make_folder(*TWO)
    raw = os.fsencode(root) + b"/caf\xe9"
    try:
        Path(os.fsdecode(raw)).mkdir()
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    Path(os.fsdecode(raw + b"/1.jpg")).write_bytes(b"x")
    error = refused(root)
    assert error.code == "class-name-not-text"
    assert "udce9" in error.what
    assert "dog" not in error.what


@pytest.mark.skipif(os.name != "posix", reason="needs links")
def test_a_class_folder_that_is_a_link_to_elsewhere_is_left_out(
    make_folder: MakeFolder, tmp_path: Path
) -> None:
    root = make_folder(*TWO)
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "x.jpg").write_bytes(b"")
    (root / "owl").symlink_to(tmp_path / "private")
    manifest = scan.scan(root)
    assert manifest.classes == ("cat", "dog")
    assert codes(manifest) == {"owl": "link-outside"}


# --- hashing


def test_hashes_are_those_of_the_bytes(make_folder: MakeFolder) -> None:
    manifest = scan.hash_contents(scan.scan(make_folder(*TWO)), threads=2)
    for example in manifest.examples:
        assert example.sha256 == hashlib.sha256(example.path.encode()).hexdigest()


@pytest.mark.parametrize("threads", [1, 4])
def test_the_order_stays_whatever_the_threads(threads: int, make_folder: MakeFolder) -> None:
    names = [f"{label}/{number:03}.jpg" for label in "ab" for number in range(50)]
    manifest = scan.hash_contents(scan.scan(make_folder(*names)), threads=threads)
    assert [example.path for example in manifest.examples] == names


def test_files_that_cannot_be_read_are_left_out(make_folder: MakeFolder) -> None:
    root = make_folder(*TWO, "cat/huge.jpg", ".DS_Store")
    manifest = scan.scan(root)
    (root / "cat" / "1.jpg").unlink()
    with (root / "cat" / "huge.jpg").open("wb") as file:
        file.truncate(files.MAX_BYTES + 1)
    hashed = scan.hash_contents(manifest, threads=2)
    assert codes(hashed) == {
        ".DS_Store": "system-file",
        "cat/1.jpg": "vanished",
        "cat/huge.jpg": "too-big",
    }
    assert len(hashed.examples) == 3


def test_progress_counts_to_the_end(make_folder: MakeFolder) -> None:
    seen: list[tuple[int, int]] = []
    scan.hash_contents(
        scan.scan(make_folder(*TWO)), threads=2, progress=lambda done, of: seen.append((done, of))
    )
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_labels_groups_and_parts_survive_hashing(make_folder: MakeFolder) -> None:
    root = make_folder("1.jpg")
    example = Example(path="1.jpg", label="a", group="g", split="test")
    manifest = Manifest(root=root, examples=(example,), classes=("a",))
    (found,) = scan.hash_contents(manifest, threads=1).examples
    assert (found.label, found.group, found.split) == ("a", "g", "test")


# --- real folders


def real(shared_data: Path, name: str) -> Path:
    if not (shared_data / name).exists():
        pytest.skip(f"the real data {name} is not there")
    return shared_data / name


def test_the_article_s_folder_is_read_as_parts(shared_data: Path) -> None:
    manifest = scan.scan(real(shared_data, "cats-and-dogs"))
    assert manifest.layout == "parts"
    assert manifest.counts("train") == {"cats": 1500, "dogs": 1500}
    assert manifest.counts("test") == {"cats": 250, "dogs": 250}
    assert Counter(codes(manifest).values()) == {"outside-parts": 4}


def test_the_flowers_are_read_as_classes(shared_data: Path) -> None:
    manifest = scan.scan(real(shared_data, "flowers"))
    assert manifest.classes == ("daisy", "dandelion", "rose", "sunflower", "tulip")
    assert len(manifest.examples) == 4317
    assert codes(manifest) == {".DS_Store": "system-file"}


def test_the_digits_are_read_from_their_list_and_stay_text(shared_data: Path) -> None:
    manifest = scan.scan(real(shared_data, "mnist-csv") / "labels.csv")
    assert manifest.classes == tuple("0123456789")
    assert len(manifest.examples) == 1000
    assert manifest.left_out == ()
