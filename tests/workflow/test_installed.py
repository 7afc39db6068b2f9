"""What fieldmark asks for, read where it is written down, against what is installed."""

from __future__ import annotations

import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldmark.workflow import installed
from fieldmark.workflow.installed import FOR, PROJECT, Package, packages, version

# Below these, something that fieldmark relies on was not yet mended: the page on reliability.
SAFE = {"keras": "3.15.1", "pillow": "13.0", "onnx": "1.23", "onnxruntime": "1.32"}


@pytest.mark.parametrize("name", SAFE)
def test_what_reads_strangers_files_has_a_floor(name: str) -> None:
    found = {each.name: each for each in packages()}[name]
    assert installed._numbers(found.floor) >= installed._numbers(SAFE[name])
    assert not found.missing
    assert not found.old


def test_every_extra_but_that_of_developers_says_what_it_is_for() -> None:
    extras = tomllib.loads(PROJECT.read_text())["project"]["optional-dependencies"]
    assert set(FOR) == set(extras) - {"dev"}


def test_packages_are_named_once_with_all_that_bring_them() -> None:
    found = packages()
    names = [each.name for each in found]
    assert len(names) == len(set(names))
    assert "fieldmark" not in names
    assert "pytest" not in names
    by_name = {each.name: each for each in found}
    assert by_name["keras"].extras == ("tensorflow", "jax", "torch")
    assert by_name["tf2onnx"].extras == ("keras-backbones",)
    assert by_name["numpy"].extras == ()


METADATA = [
    "numpy>=1.26",
    "keras[all]>=3.16 ; python_version > '3' and extra == 'torch'",
    'keras >= 3.9; extra == "tensorflow"',
    "jinja2",
    "fieldmark[tensorflow]; extra == 'keras-backbones'",
    "pytest>=8; extra == 'dev'",
    "numpy>=2.9; extra == 'jax'",
    "=nonsense=",
]


def test_an_installed_fieldmark_is_asked_for_its_metadata(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(installed, "PROJECT", tmp_path / "pyproject.toml")
    monkeypatch.setattr(metadata, "requires", lambda name: METADATA)
    found = {each.name: (each.floor, each.extras) for each in packages()}
    assert found == {
        "numpy": ("2.9", ()),
        "keras": ("3.16", ("torch", "tensorflow")),
        "jinja2": ("", ()),
    }


@pytest.mark.parametrize(
    "text", ['[project]\nname = "another"\n', "[tool.black]\n", "not = [toml", "\xff"]
)
def test_a_project_file_of_something_else_is_not_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str
) -> None:
    (tmp_path / "pyproject.toml").write_text(text, encoding="latin-1")
    monkeypatch.setattr(installed, "PROJECT", tmp_path / "pyproject.toml")
    monkeypatch.setattr(metadata, "requires", lambda name: None)
    assert packages() == ()


def test_the_source_folder_says_what_its_metadata_would(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both forms of the same file give the same table."""
    told = packages()
    project = tomllib.loads(PROJECT.read_text())["project"]
    monkeypatch.setattr(metadata, "requires", lambda name: list(installed._written(project)))
    monkeypatch.setattr(installed, "PROJECT", Path("/nowhere/pyproject.toml"))
    assert packages() == told


@pytest.mark.parametrize(
    ("version", "floor", "old"),
    [
        ("3.15.1", "3.15.1", False),
        ("3.15.0", "3.15.1", True),
        ("3.9", "3.15.1", True),
        ("13", "13.0", False),
        ("13.0.0.post1", "13.0", False),
        ("12.9.9", "13", True),
        ("5.0.0.93", "4.10", False),
        ("2.21.0+cpu", "2.21", False),
        ("1.23rc1", "1.23", False),
        ("1.22.9", "1.23rc1", True),
        ("", "1.0", False),
        ("0.1", "", False),
    ],
)
def test_versions_are_compared_by_their_numbers(version: str, floor: str, old: bool) -> None:
    assert Package(name="x", version=version, floor=floor).old is old


numbers = st.lists(st.integers(0, 2026), min_size=1, max_size=4)


@given(numbers, numbers)
def test_any_two_versions_stand_in_the_order_of_their_numbers(a: list[int], b: list[int]) -> None:
    one, other = (".".join(map(str, each)) for each in (a, b))
    longest = max(len(a), len(b))
    padded = [each + [0] * (longest - len(each)) for each in (a, b)]
    assert Package(name="x", version=one, floor=other).old is (padded[0] < padded[1])


@pytest.mark.parametrize(
    ("version", "extras", "command"),
    [
        ("", ("jax",), 'pip install "fieldmark[jax]"'),
        ("", (), 'pip install "numpy>=1.26"'),
        ("1.0", ("jax",), 'pip install "numpy>=1.26"'),
    ],
)
def test_what_to_type_is_exact(version: str, extras: tuple[str, ...], command: str) -> None:
    found = Package(name="numpy", version=version, floor="1.26", extras=extras)
    assert found.install == command


def test_a_package_that_is_not_there_has_no_version() -> None:
    assert version("no-such-package-anywhere") == ""
    assert version("numpy")
