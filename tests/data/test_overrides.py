from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldmark.data import overrides, scan
from fieldmark.data.findings import KINDS, Finding
from fieldmark.data.manifest import Example, LeftOut, Manifest
from fieldmark.data.overrides import ACTIONS, Applied, Override, Overrides
from fieldmark.errors import DataError, UsageError

MakeFolder = Callable[..., Path]


def sha(number: int) -> str:
    return f"{number:064x}"


def folder(*more: Example, left_out: tuple[LeftOut, ...] = ()) -> Manifest:
    """Three cats, three dogs, and more."""
    six = [
        Example(path=f"{label}/{at}.jpg", label=label, sha256=sha(at + 10 * len(label[:1])))
        for label in ("cat", "dog")
        for at in range(3)
    ]
    classes = tuple(sorted({each.label for each in (*six, *more)}))
    return Manifest(root=Path("pets"), examples=(*six, *more), classes=classes, left_out=left_out)


def fix(tmp_path: Path, text: str) -> Overrides:
    file = tmp_path / "overrides.csv"
    file.write_text(text, encoding="utf-8")
    return overrides.read(file)


def applied(tmp_path: Path, text: str, manifest: Manifest | None = None) -> Applied:
    return overrides.apply(manifest or folder(), fix(tmp_path, text))


def refused(tmp_path: Path, text: str, manifest: Manifest | None = None) -> DataError:
    with pytest.raises(DataError, match=r"\w") as caught:
        applied(tmp_path, text, manifest)
    return caught.value


def labels(found: Applied) -> dict[str, str]:
    return {each.path: each.label for each in found.manifest.examples}


# --- each action


def test_a_file_is_left_out_with_the_reason_of_the_list(tmp_path: Path) -> None:
    found = applied(tmp_path, "path,action,reason\ncat/1.jpg,leave-out,a drawing\n")
    assert "cat/1.jpg" not in labels(found)
    assert found.manifest.left_out == (
        LeftOut(path="cat/1.jpg", code="left-out-by-list", reason="a drawing"),
    )
    assert found.notes == ()


def test_two_columns_are_enough(tmp_path: Path) -> None:
    found = applied(tmp_path, "path,action\ndog/0.jpg,leave-out\n")
    assert found.manifest.left_out[0].reason == "the fix list says so"


def test_a_file_gets_another_class(tmp_path: Path) -> None:
    found = applied(tmp_path, "path,action,value\ncat/1.jpg,relabel,dog\n")
    assert labels(found)["cat/1.jpg"] == "dog"
    assert found.manifest.counts() == {"cat": 2, "dog": 4}


def test_a_new_class_can_be_made(tmp_path: Path) -> None:
    text = "path,action,value\ncat/1.jpg,relabel,Ka\u0308fer\n"
    found = applied(tmp_path, text)
    assert found.manifest.classes == ("K\u00e4fer", "cat", "dog")
    assert labels(found)["cat/1.jpg"] == "K\u00e4fer"


@pytest.mark.parametrize(
    ("written", "label"),
    [
        ("\\tau", "\\tau"),  # a class there is, not a tab and "au"
        ("\\\\tau", "\\tau"),
        ("a\\nb", "a\nb"),  # a class there is, as a list of ours writes it
        ("'=x", "=x"),
        ("=x", "=x"),
        ("'=new", "=new"),
        ("\\nu", "\\nu"),  # a new one, as it is written
    ],
)
def test_classes_are_meant_as_they_are_called(tmp_path: Path, written: str, label: str) -> None:
    more = [
        Example(path=f"{at}.jpg", label=name, sha256=sha(at))
        for at, name in enumerate(("\\tau", "a\nb", "=x"))
    ]
    text = f"path,action,value\ncat/1.jpg,relabel,{written}\n"
    found = applied(tmp_path, text, folder(*more))
    assert labels(found)["cat/1.jpg"] == label
    again = overrides.write([], folder(*more), fix(tmp_path, text))
    assert labels(applied(tmp_path, again, folder(*more)))["cat/1.jpg"] == label


def test_a_file_gets_a_group(tmp_path: Path) -> None:
    found = applied(tmp_path, "path,action,value\ncat/1.jpg,group,Minka\n")
    assert [e.group for e in found.manifest.examples if e.path == "cat/1.jpg"] == ["Minka"]


def test_a_file_that_is_kept_is_told_and_changes_nothing(tmp_path: Path) -> None:
    found = applied(tmp_path, "path,action\ncat/1.jpg,keep\n")
    assert found.kept == {"cat/1.jpg"}
    assert found.manifest == folder()


def test_an_undecided_line_does_nothing(tmp_path: Path) -> None:
    found = applied(tmp_path, "path,action,value,reason\ncat/1.jpg,,dog,suspect\nno.jpg,,,\n")
    assert (found.manifest, found.kept, found.notes) == (folder(), frozenset(), ())


def test_a_file_can_get_a_class_and_a_group_and_be_kept(tmp_path: Path) -> None:
    lines = "".join(f"cat/1.jpg,{each}\n" for each in ("keep,", "relabel,dog", "group,Minka"))
    found = applied(tmp_path, f"path,action,value\n{lines}")
    (changed,) = [each for each in found.manifest.examples if each.path == "cat/1.jpg"]
    assert (changed.label, changed.group, found.kept) == ("dog", "Minka", {"cat/1.jpg"})


@pytest.mark.parametrize("word", ["leave-out", "Leave-Out", " leave_out ", "LEAVE OUT"])
def test_words_are_not_taken_by_the_letter(tmp_path: Path, word: str) -> None:
    assert len(applied(tmp_path, f"path;action\ncat/1.jpg;{word}\n").manifest.left_out) == 1


def test_the_same_line_twice_is_one(tmp_path: Path) -> None:
    text = "path,action,value\ncat/1.jpg,relabel,dog\n./cat/1.jpg,relabel,dog\n"
    assert labels(applied(tmp_path, text))["cat/1.jpg"] == "dog"


# --- lines that are not obeyed


def test_a_line_about_another_content_is_not_obeyed_and_said(tmp_path: Path) -> None:
    text = f"path,action,sha256\ncat/1.jpg,leave-out,{sha(999)}\n"
    found = applied(tmp_path, text)
    assert found.manifest == folder()
    assert [note.code for note in found.notes] == ["override-stale"]
    assert "Line 2" in found.notes[0].text
    assert "cat/1.jpg" in found.notes[0].text


def test_a_line_about_this_content_is_obeyed_in_any_case_of_letters(tmp_path: Path) -> None:
    text = f"path,action,sha256\ncat/1.jpg,leave-out,{sha(11).upper()}\n"
    assert len(applied(tmp_path, text).manifest.left_out) == 1


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    found = applied(tmp_path, "path,action\n\ncat/9.jpg,leave-out\n")
    assert [str(note) for note in found.notes] == [
        "Line 3 of the fix list: there is no file cat/9.jpg. [override-no-file]"
    ]


def test_a_file_that_cannot_be_used_anyway_is_said(tmp_path: Path) -> None:
    broken = folder(left_out=(LeftOut(path="cat/x.jpg", code="truncated", reason="ends early"),))
    found = applied(tmp_path, "path,action\ncat/x.jpg,keep\n", broken)
    assert [note.code for note in found.notes] == ["override-unused"]
    assert "ends early" in found.notes[0].text
    assert applied(tmp_path, "path,action\ncat/x.jpg,leave-out\n", broken).notes == ()


def test_hashes_in_the_list_need_hashes_of_the_files(tmp_path: Path) -> None:
    unread = Manifest(root=Path("x"), examples=(Example(path="a.jpg", label="a"),), classes=("a",))
    with pytest.raises(UsageError, match="before the files") as caught:
        applied(tmp_path, f"path,action,sha256\na.jpg,keep,{sha(1)}\n", unread)
    assert caught.value.code == "not-hashed"


# --- lists that make no sense


def test_an_unknown_action_is_refused_with_its_line(tmp_path: Path) -> None:
    error = refused(tmp_path, "path,action\ncat/1.jpg,keep\ncat/2.jpg,delete\n")
    assert (error.code, error.exit_status) == ("override-action", 3)
    assert "'delete'" in error.what
    assert error.where.endswith("overrides.csv, line 3")
    assert all(action in error.hint for action in ACTIONS)


@pytest.mark.parametrize(("action", "missing"), [("relabel", "class"), ("group", "group")])
def test_an_action_without_its_value_is_refused(tmp_path: Path, action: str, missing: str) -> None:
    error = refused(tmp_path, f"path,action,value\ncat/1.jpg,{action},\n")
    assert error.code == "override-value"
    assert missing in error.what


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("leave-out,", "keep,"),
        ("leave-out,", "relabel,dog"),
        ("relabel,dog", "relabel,bird"),
        ("group,1", "group,2"),
    ],
)
@pytest.mark.parametrize("spelling", ["cat/1.jpg", "cat\\1.jpg"])
def test_lines_that_contradict_each_other_are_refused_with_both(
    tmp_path: Path, one: str, other: str, spelling: str
) -> None:
    text = f"path,action,value\ncat/1.jpg,{one}\ndog/1.jpg,keep,\n{spelling},{other}\n"
    error = refused(tmp_path, text)
    assert error.code == "override-conflict"
    assert error.where.endswith("overrides.csv, lines 2 and 4")
    assert "cat/1.jpg" in error.what


def test_a_contradiction_shows_before_the_folder_is_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="contradict"):
        fix(tmp_path, "path,action\na.jpg,keep\na.jpg,leave-out\n")


def test_lines_about_two_contents_do_not_contradict_each_other(tmp_path: Path) -> None:
    text = (
        "path,action,value,sha256\n"
        f"cat/1.jpg,leave-out,,{sha(999)}\n"
        f"cat/1.jpg,relabel,dog,{sha(11)}\n"
    )
    found = applied(tmp_path, text)
    assert labels(found)["cat/1.jpg"] == "dog"
    assert [note.code for note in found.notes] == ["override-stale"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("path,reason\n", "no-columns"),
        ("action\nkeep\n", "no-columns"),
    ],
)
def test_a_list_without_its_columns_is_refused(tmp_path: Path, text: str, code: str) -> None:
    error = refused(tmp_path, text)
    assert (error.code, error.where) == (code, str(tmp_path / "overrides.csv"))


def test_a_list_in_another_encoding_or_missing_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "fixes.csv"
    with pytest.raises(DataError, match="fix list cannot be read") as caught:
        overrides.read(file)
    assert (caught.value.code, caught.value.where) == ("no-list", str(file))
    file.write_bytes(b"path,action\ncaf\xe9.jpg,keep\n")
    with pytest.raises(DataError, match="UTF-8") as caught:
        overrides.read(file)
    assert caught.value.code == "list-damaged"


@pytest.mark.parametrize("action", ["leave-out,", "relabel,dog"])
def test_a_list_that_empties_a_class_is_refused(tmp_path: Path, action: str) -> None:
    lines = "".join(f"cat/{at}.jpg,{action}\n" for at in range(3))
    error = refused(tmp_path, f"path,action,value\n{lines}")
    assert error.code == "emptied-class"
    assert "nothing of: cat" in error.what
    assert error.where.endswith("overrides.csv")


def test_where_is_only_measured_a_class_may_be_left_out(tmp_path: Path) -> None:
    lines = "".join(f"cat/{at}.jpg,leave-out\n" for at in range(3))
    found = overrides.apply(folder(), fix(tmp_path, f"path,action\n{lines}"), to_learn=False)
    assert found.manifest.classes == ("dog",)


def test_a_new_class_is_checked_like_a_folder(tmp_path: Path) -> None:
    assert (
        refused(tmp_path, "path,action,value\ncat/1.jpg,relabel,Cat\n").code
        == "class-names-collide"
    )


def test_a_class_that_only_the_test_part_would_hold_is_refused(tmp_path: Path) -> None:
    parts = Manifest(
        root=Path("x"),
        examples=tuple(
            Example(path=f"{part}/{label}.jpg", label=label, sha256=sha(at), split=part)
            for part in ("train", "test")
            for at, label in enumerate("abab")
        ),
        classes=("a", "b"),
    )
    error = refused(tmp_path, "path,action,value\ntest/a.jpg,relabel,c\n", parts)
    assert error.code == "class-only-in-test"


# --- twice, and any


@st.composite
def lists(draw: st.DrawFn) -> Overrides:
    """At most one line per file; one cat and one dog are never touched."""
    found = []
    for label in ("cat", "dog"):
        for at in (1, 2):
            action = draw(st.sampled_from(("", *ACTIONS)))
            found.append(
                Override(
                    path=f"{label}/{at}.jpg",
                    action=action,
                    value=draw(st.sampled_from(["cat", "dog", "bird"])),
                    sha256=draw(st.sampled_from(["", sha(10 + at), sha(7)])),
                    line=len(found) + 2,
                )
            )
    return Overrides(lines=tuple(found))


@given(lists())
def test_a_list_done_twice_is_done_once(fixes: Overrides) -> None:
    once = overrides.apply(folder(), fixes)
    twice = overrides.apply(once.manifest, fixes)
    assert twice.manifest == once.manifest
    assert twice.kept == once.kept


@given(lists())
def test_nothing_is_lost_and_nothing_else_changes(fixes: Overrides) -> None:
    before, after = folder(), overrides.apply(folder(), fixes).manifest
    paths = [each.path for each in after.examples] + [each.path for each in after.left_out]
    assert sorted(paths) == sorted(each.path for each in before.examples)
    spoken = {each.path for each in fixes.lines if each.action}
    old = {each.path: each for each in before.examples}
    assert all(old[each.path] == each for each in after.examples if each.path not in spoken)


# --- where the list lies


def test_a_list_at_the_top_of_the_folder_is_found(tmp_path: Path) -> None:
    assert overrides.find("auto", tmp_path) is None
    (tmp_path / "overrides.csv").write_text("path,action\n")
    assert overrides.find("auto", tmp_path) == tmp_path / "overrides.csv"
    assert overrides.find("none", tmp_path) is None
    assert overrides.find("else.csv", tmp_path) == Path("else.csv")


def test_the_list_in_a_folder_is_no_picture_of_it(make_folder: MakeFolder) -> None:
    root = make_folder("cat/1.jpg", "dog/1.jpg", "overrides.csv")
    assert [(e.path, e.code) for e in scan.scan(root).left_out] == [
        ("overrides.csv", "not-a-picture")
    ]


def test_a_list_that_is_obeyed_is_not_counted_as_left_out(make_folder: MakeFolder) -> None:
    root = make_folder("cat/1.jpg", "cat/2.jpg", "dog/1.jpg", "other.csv")
    (root / "overrides.csv").write_text("path,action\ncat/1.jpg,leave-out\n")
    listed = overrides.read(root / "overrides.csv")
    done = overrides.apply(scan.scan(root), listed)
    assert [entry.path for entry in done.manifest.left_out] == ["other.csv", "cat/1.jpg"]
    assert overrides.apply(done.manifest, listed).manifest == done.manifest


# --- the list that a check writes


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


CONFLICT = Finding(
    code="label-conflict",
    paths=("cat/1.jpg", "dog/1.jpg"),
    labels=("cat", "dog"),
    text="the same bytes",
    done="left out",
)
SUSPECT = Finding(code="suspect-label", paths=("dog/2.jpg",), text="96 % likely wrong")
COPY = Finding(code="near-copy", paths=("cat/0.jpg", "cat/2.jpg"), text="99 % alike")


def test_a_check_asks_about_what_a_person_must_decide() -> None:
    asked = rows(overrides.write([CONFLICT, SUSPECT, COPY], folder(), gone=CONFLICT.paths))
    assert [(row["path"], row["action"], row["value"]) for row in asked] == [
        ("cat/1.jpg", "leave-out", ""),
        ("dog/1.jpg", "leave-out", ""),
        ("dog/2.jpg", "", ""),
    ]
    assert asked[0]["reason"] == ("same picture, two labels: the same bytes (with dog/1.jpg)")
    assert [row["sha256"] for row in asked] == [sha(11), sha(11), sha(12)]


def test_what_a_check_writes_can_be_obeyed_as_it_is(tmp_path: Path) -> None:
    found = applied(tmp_path, overrides.write([CONFLICT, SUSPECT], folder(), gone=CONFLICT.paths))
    assert found.notes == ()
    assert [each.path for each in found.manifest.left_out] == ["cat/1.jpg", "dog/1.jpg"]
    assert found.manifest.left_out[0].reason.startswith("same picture, two labels")


def test_a_file_of_several_findings_is_one_line() -> None:
    dark = Finding(code="dark", paths=("dog/2.jpg",), text="mean 3 of 255")
    (row,) = rows(overrides.write([SUSPECT, dark], folder()))
    assert row["reason"] == (
        "labels that may be wrong: 96 % likely wrong; very dark: mean 3 of 255"
    )


def test_what_was_decided_stays_and_is_not_asked_again(tmp_path: Path) -> None:
    text = "path,action,value,reason\ndog/2.jpg,relabel,cat,seen\nold.jpg,keep,,\ncat/0.jpg,,,\n"
    asked = rows(overrides.write([CONFLICT, SUSPECT], folder(), fix(tmp_path, text)))
    assert [(row["path"], row["action"], row["value"], row["reason"]) for row in asked[:3]] == [
        ("dog/2.jpg", "relabel", "cat", "seen"),
        ("old.jpg", "keep", "", ""),
        ("cat/0.jpg", "", "", ""),
    ]
    assert [row["path"] for row in asked[3:]] == ["cat/1.jpg", "dog/1.jpg"]


def test_hostile_names_go_through_a_fix_list_and_back(tmp_path: Path) -> None:
    names = ("=cmd|x.jpg", "-rf.jpg", "a\nb.jpg", 'q",;.jpg', "caf\udce9.jpg", "<script>.jpg")
    more = tuple(Example(path=n, label="cat", sha256=sha(at)) for at, n in enumerate(names))
    manifest = folder(*more)
    text = overrides.write(
        [Finding(code="blank", paths=(n,), text="no detail", done="left out") for n in names],
        manifest,
        gone=names,
    )
    assert not any(row["path"][0] in "=-" for row in rows(text))
    found = applied(tmp_path, text, manifest)
    assert [each.path for each in found.manifest.left_out] == list(names)
    again = overrides.write([], manifest, fix(tmp_path, text))
    assert again.replace("\r\n", "\n") == text.replace("\r\n", "\n")


def test_every_kind_that_is_decided_by_persons_exists() -> None:
    assert KINDS.keys() >= overrides.DECIDED_BY_PERSONS
