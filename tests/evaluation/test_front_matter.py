"""The YAML of a model card says what it was given, to a strict reader and to a real one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldmark.evaluation.front_matter import front_matter, scalar
from fieldmark.evaluation.wording import printable
from tests.evaluation.promises import HOSTILE

TRICKY = st.sampled_from(
    ["no", "Null", "~", "1e5", "0x1F", "12:30", "2026-01-01", "a: b", "- a", "#", "'", '"', "{", ""]
)
TEXTS = st.text(st.characters(), max_size=20) | st.sampled_from(HOSTILE) | TRICKY
SCALARS = TEXTS | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
KEYS = st.from_regex(r"[a-z]{2,8}(-[a-z]{2,8})?", fullmatch=True).map(lambda key: f"k_{key}")


def nested(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    mappings = st.dictionaries(KEYS, values, min_size=1, max_size=3)
    return mappings | st.lists(SCALARS | mappings, min_size=1, max_size=3)


FIELDS = st.dictionaries(KEYS, st.recursive(SCALARS, nested, max_leaves=8), max_size=4)


def shown(value: Any) -> Any:
    """Return what is to be read again: texts in one line, numbers as they are."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {key: shown(each) for key, each in value.items()}
    return [shown(each) for each in value] if isinstance(value, list) else value


def read(lines: list[str]) -> Any:
    """Read blocks whose scalars are JSON: what this file promises, and no more of YAML."""
    if lines[0].startswith("- "):
        items: list[list[str]] = []
        for line in lines:
            if line.startswith("- "):
                items.append([])
            items[-1].append(line[2:])
        return [read(item) if is_mapping(item) else json.loads(item[0]) for item in items]
    found: dict[str, Any] = {}
    while lines:
        key, _, rest = lines[0].partition(":")
        inner = []
        for line in lines[1:]:
            if not line.startswith((" ", "- ")):
                break
            inner.append(line)
        if inner and not inner[0].startswith("- "):
            inner = [line.removeprefix("  ") for line in inner]
        found[key] = json.loads(rest) if rest else read(inner)
        lines = lines[1 + len(inner) :]
    return found


def is_mapping(item: list[str]) -> bool:
    return item[0].startswith("k_")


@given(FIELDS)
def test_a_strict_reader_gets_back_what_was_written(fields: dict[str, Any]) -> None:
    first, *inner, last = front_matter(fields)
    assert (first, last) == ("---", "---")
    assert (read(inner) if inner else {}) == shown(fields)


@given(FIELDS)
def test_a_yaml_reader_gets_back_what_was_written(fields: dict[str, Any]) -> None:
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    inner = front_matter(fields)[1:-1]
    assert (yaml.safe_load("\n".join(inner)) or {}) == shown(fields)


@given(TEXTS)
def test_a_text_is_one_line_whatever_is_in_it(text: str) -> None:
    written = scalar(text)
    assert len(written.splitlines()) == 1
    assert json.loads(written) == printable(text)
    assert "\ufeff" not in written
    assert "\ufffe" not in written


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_has_a_dot_where_it_has_an_exponent(value: float) -> None:
    written = scalar(value)
    assert float(written) == value
    assert "." in written


def test_what_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        scalar(float("nan"))


def test_empty_parts_are_left_out() -> None:
    assert front_matter({"tags": [], "start": {}, "name": "a"}) == ["---", 'name: "a"', "---"]


def test_a_list_in_a_list_is_refused() -> None:
    with pytest.raises(TypeError, match="list directly in a list"):
        front_matter({"a": [["b"]]})


def test_a_comment_stays_one_line() -> None:
    assert front_matter({}, ["license: a\nb"]) == ["---", "# license: a\\nb", "---"]


def test_the_dashes_of_a_hostile_name_do_not_end_the_block() -> None:
    lines = front_matter({"name": "---\n---"})
    assert lines.count("---") == 2
