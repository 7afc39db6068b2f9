from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldmark.config import (
    PRESETS,
    Settings,
    check_ranges,
    from_tables,
    preset,
    read,
    seconds,
    sizes,
    to_toml,
)
from fieldmark.config.checks import _RANGES
from fieldmark.errors import ConfigError

TABLES = {each.name: getattr(Settings(), each.name) for each in dataclasses.fields(Settings)}
ALL = [(table, each.name) for table, owner in TABLES.items() for each in dataclasses.fields(owner)]

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
durations = st.one_of(
    st.just(""), st.builds("{}{}".format, st.integers(1, 999), st.sampled_from("smh"))
)


def values_for(hint: Any, table: str, name: str) -> st.SearchStrategy[Any]:
    """Draw any value that a setting of this type and range may have."""
    if (table, name) == ("train", "time"):
        return durations
    if (table, name) == ("run", "ram"):
        return st.sampled_from(["", "800MB", "1.5 GB"])
    if (table, name) == ("train", "sizes"):
        return st.sampled_from(["auto", "none", "48", "32,64", "8, 2048"])
    low, high = _RANGES.get((table, name), (0, 100))
    if hint is bool:
        return st.booleans()
    if hint is int:
        return st.integers(int(low), int(high))
    if hint is float:
        return st.floats(low, high)
    if hint is str:
        return texts
    if get_origin(hint) is Literal:
        return st.sampled_from(get_args(hint))
    return st.one_of(*(values_for(option, table, name) for option in get_args(hint)))


@st.composite
def some_settings(draw: st.DrawFn) -> Settings:
    found = Settings()
    for table, owner in TABLES.items():
        hints = get_type_hints(type(owner))
        chosen = draw(st.sets(st.sampled_from(sorted(hints))))
        values = {name: draw(values_for(hints[name], table, name)) for name in sorted(chosen)}
        found = found.changed(table, values)
    return found


def refused(table: str, values: dict[str, Any]) -> ConfigError:
    with pytest.raises(ConfigError, match=r"\w") as caught:
        Settings().changed(table, values)
    return caught.value


# --- there and back


@given(some_settings())
def test_settings_written_are_the_settings_read(settings: Settings) -> None:
    assert from_tables(tomllib.loads(to_toml(settings)), Settings()) == settings


@given(some_settings())
def test_what_is_written_names_every_setting(settings: Settings) -> None:
    tables = tomllib.loads(to_toml(settings))
    assert [(table, name) for table, values in tables.items() for name in values] == ALL


def test_settings_go_through_a_file(tmp_path: Path) -> None:
    settings = Settings().changed("data", {"folder": 'Bilder/K\u00e4fer \U0001f41e "x"\\y\n\x7f'})
    path = tmp_path / "config.toml"
    path.write_text(to_toml(settings), encoding="utf-8")
    assert read(path) == settings


def test_a_name_that_is_no_text_is_written_with_question_marks() -> None:
    settings = Settings().changed("data", {"folder": "caf\udce9"})
    assert tomllib.loads(to_toml(settings))["data"]["folder"] == "caf?"


def test_a_file_changes_what_it_names_and_keeps_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('[train]\nepochs = 3\n[net]\nname = "small"\n', encoding="utf-8")
    base = Settings().changed("train", {"seed": 5, "epochs": 9})
    found = read(path, base)
    assert (found.train.epochs, found.train.seed, found.net.name) == (3, 5, "small")
    assert read(path).train.seed == 0


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("", encoding="utf-8")
    assert read(tmp_path / "a.toml") == Settings()


@pytest.mark.parametrize("content", [b"[train\n", b"\xff\xfe", b"epochs = = 3"])
def test_a_file_that_is_no_toml_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="settings file cannot be read") as caught:
        read(path)
    assert (caught.value.code, caught.value.where) == ("config-file", str(path))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read") as caught:
        read(tmp_path / "none.toml")
    assert (caught.value.code, caught.value.exit_status) == ("config-file", 2)
    with pytest.raises(ConfigError, match="cannot be read"):
        read(tmp_path)


# --- unknown names


@pytest.mark.parametrize(
    ("table", "name", "meant"),
    [
        ("train", "epoch", "epochs"),
        ("train", "batch_size", "batch"),
        ("train", "sed", "seed"),
        ("net", "sizes", "size"),
        ("run", "nam", "name"),
    ],
)
def test_an_unknown_setting_is_refused_with_the_nearest_one(
    table: str, name: str, meant: str
) -> None:
    error = refused(table, {name: 1})
    assert error.code == "setting-unknown"
    assert error.what == f"Unknown setting {name!r} in [{table}]."
    assert error.hint.startswith(f"Did you mean {meant!r}? Known: ")


def test_a_name_like_no_other_is_refused_with_all_of_them() -> None:
    error = refused("split", {"xyzzy": 1})
    assert error.hint == "Known: valid, test, seed, file, folds."


@pytest.mark.parametrize(("table", "meant"), [("trains", "train"), ("Data", "data")])
def test_an_unknown_table_is_refused_with_the_nearest_one(table: str, meant: str) -> None:
    with pytest.raises(ConfigError, match=r"Unknown table") as caught:
        from_tables({table: {}}, Settings())
    assert caught.value.code == "setting-unknown"
    assert f"Did you mean {meant!r}?" in caught.value.hint


def test_a_setting_outside_of_any_table_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"Unknown table \[epochs\]"):
        from_tables({"epochs": 3}, Settings())


# --- types


WRONG: list[tuple[str, str, Any, str]] = [
    ("train", "epochs", "many", "a whole number or auto"),
    ("train", "epochs", 3.0, "a whole number or auto"),
    ("train", "epochs", True, "a whole number or auto"),
    ("train", "lr", "0.1", "a number or auto"),
    ("train", "lr", float("nan"), "a number or auto"),
    ("train", "lr", float("inf"), "a number or auto"),
    ("train", "seed", "0", "a whole number"),
    ("train", "time", 90, "a text"),
    ("train", "recipe", "best", "tuned or article"),
    ("train", "optimizer", "lion", "auto or adam or adamw or sgd"),
    ("train", "augment", ["flip"], "auto or none or light or strong or article"),
    ("data", "folder", None, "a text"),
    ("split", "test", "a third", "a number"),
    ("split", "test", True, "a number"),
    ("run", "cache", 1, "bool"),
    ("net", "size", {}, "a whole number or auto"),
]


@pytest.mark.parametrize(("table", "name", "value", "wanted"), WRONG)
def test_a_value_of_the_wrong_type_is_refused_with_what_is_possible(
    table: str, name: str, value: Any, wanted: str
) -> None:
    error = refused(table, {name: value})
    assert error.code == "setting-type"
    assert error.what == f"{name} = {value!r} is not possible."
    assert error.where == f"[{table}] {name}"
    assert error.hint == f"one of: {wanted}"


def test_a_whole_number_is_good_enough_for_a_number() -> None:
    found = Settings().changed("run", {"cache_gb": 2}).run.cache_gb
    assert (found, type(found)) == (2.0, float)
    assert Settings().changed("train", {"lr": 1}).train.lr == 1


# --- ranges


@pytest.mark.parametrize(("table", "name"), _RANGES)
def test_the_ends_of_a_range_are_in_it_and_beyond_them_is_not(table: str, name: str) -> None:
    low, high = _RANGES[table, name]
    whole = int in (hint := get_type_hints(type(TABLES[table]))[name], *get_args(hint))
    step: float = 1 if whole else 1e-9
    kind = int if whole else float
    for value in (low, high):
        Settings().changed(table, {name: kind(value)})
    for value in (kind(low - step), kind(high + max(step, high * 1e-6))):
        if kind is int and value == high:
            value += 1
        error = refused(table, {name: value})
        assert error.code == "setting-range"
        assert error.where == f"[{table}] {name}"
        assert f"must lie between {low:g} and {high:g}" in error.what


def test_auto_is_in_every_range_that_allows_it() -> None:
    for table, name in _RANGES:
        if getattr(TABLES[table], name) == "auto":
            assert (
                getattr(getattr(Settings().changed(table, {name: "auto"}), table), name) == "auto"
            )


def test_the_defaults_are_in_range() -> None:
    check_ranges(Settings())


def test_a_change_is_a_new_value_and_the_old_one_stays() -> None:
    old = Settings()
    new = old.changed("train", {"epochs": 7})
    assert (old.train.epochs, new.train.epochs) == ("auto", 7)
    assert new.changed("train", {}) == new


# --- durations


@pytest.mark.parametrize(
    ("text", "value"),
    [("90s", 90), ("10m", 600), ("1h", 3600), ("1.5h", 5400), ("0.5s", 0.5), (" 2m ", 120)],
)
def test_durations_are_seconds(text: str, value: float) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "90", "h", "1 h", "-1s", "1d", "1e3s", "\u0661s", "1m30s"])
def test_what_is_no_duration_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ConfigError, match="is no duration") as caught:
        seconds(text)
    assert caught.value.code == "setting-type"
    assert caught.value.hint == "write 90s, 10m or 1h"


def test_a_wrong_duration_is_refused_when_it_is_set() -> None:
    assert "'soon' is no duration" in refused("train", {"time": "soon"}).what


def test_sizes_are_pixels_in_order() -> None:
    assert (sizes("48,64"), sizes(" 8 ,2048"), sizes("none")) == ((48, 64), (8, 2048), ())


@pytest.mark.parametrize("text", ["", "48;64", "48,", "7", "2049", "-8", "4_8", "48.0", "auto,8"])
def test_what_are_no_sizes_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ConfigError, match="no list of picture sizes") as caught:
        Settings().changed("train", {"sizes": text})
    assert caught.value.code == "setting-type"
    assert "48,64" in caught.value.hint


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_changes_what_it_names_and_nothing_else(name: str) -> None:
    found = preset(name)
    assert found != Settings()
    assert found == from_tables(PRESETS[name], Settings())
    assert found.run == Settings().run


def test_a_preset_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ConfigError, match="no preset 'slow'") as caught:
        preset("slow")
    assert caught.value.code == "preset-unknown"
    assert caught.value.hint == "choose one of: fast, best"


@pytest.mark.parametrize(
    "text",
    ["a = " + "[" * 5000, "a = " + "{a=" * 5000, "[train]\nlr = " + "9" * 5000, "#" * 1_000_001],
)
def test_a_file_that_exhausts_its_reader_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.toml").write_text(text)
    with pytest.raises(ConfigError, match="cannot be read") as caught:
        read(tmp_path / "config.toml")
    assert caught.value.code == "config-file"


@pytest.mark.parametrize(("name", "code"), [("epochs", "setting-range"), ("lr", "setting-type")])
def test_a_number_that_python_does_not_print_is_refused(
    tmp_path: Path, name: str, code: str
) -> None:
    (tmp_path / "config.toml").write_text(f"[train]\n{name} = 0x{'f' * 6000}\n")
    with pytest.raises(ConfigError, match="a number of thousands of digits") as caught:
        read(tmp_path / "config.toml")
    assert caught.value.code == code
