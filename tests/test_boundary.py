"""What SECURITY.md says is there: no dangerous call in the source, and a test behind every row."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "fieldmark"

MODULES = {
    *("pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"),
    *("yaml", "ruamel", "h5py", "tarfile", "zipfile", "shutil.unpack_archive", "ctypes"),
    *("socket", "urllib", "http", "requests", "subprocess", "pty", "code", "runpy"),
}
"""What unpickles, unpacks, fetches or starts something; no file of the source imports it."""

CALLS = {
    *("eval", "exec", "__import__", "input", "breakpoint"),
    *("load_model", "load_weights", "model_from_json", "model_from_config", "from_config"),
    *("deserialize_keras_object", "enable_unsafe_deserialization", "TFSMLayer", "Lambda"),
    *("extractall", "unpack_archive", "register_custom_ops_library", "import_module_from_string"),
    *("system", "popen", "spawnl", "spawnv", "execv", "execve", "posix_spawn", "startfile"),
    *("full_load", "unsafe_load", "Unpickler"),
}
"""Last names of calls; none of them stands in the source."""

LOADS = {"torch", "joblib", "yaml", "pickle", "marshal", "dill", "saved_model", "hub"}
"""Owners whose ``load`` or ``loads`` runs code."""


def dangers(tree: ast.AST) -> Iterator[str]:
    """Yield every dangerous thing in a file."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                modules = {alias.name for alias in names}
            case ast.ImportFrom(module=str(module), names=names):
                modules = {module} | {f"{module}.{alias.name}" for alias in names}
            case ast.Call():
                modules = set()
                yield from _of_call(node)
            case _:
                continue
        for name in modules:
            if name in MODULES or name.partition(".")[0] in MODULES:
                yield f"import {name}"
            if name.rpartition(".")[2] in CALLS:
                yield f"import {name}"


def _of_call(node: ast.Call) -> Iterator[str]:
    called = ast.unparse(node.func)
    owner, _, last = called.rpartition(".")
    if (last in CALLS and owner != "platform") or called in ("compile", "builtins.compile"):
        yield called
    if last in ("load", "loads", "safe_load") and owner.rpartition(".")[2] in LOADS:
        yield called
    given = {each.arg: each.value for each in node.keywords if each.arg}
    pickled = given.get("allow_pickle")
    forbidden = isinstance(pickled, ast.Constant) and pickled.value is False
    if pickled is not None and not forbidden:
        yield f"{called} with pickle"
    if called in ("np.load", "numpy.load") and not forbidden:
        yield f"{called} that may unpickle"


def test_nothing_in_the_source_can_run_code_from_a_file() -> None:
    found = [
        f"{path.relative_to(SOURCE).as_posix()}: {danger}"
        for path in sorted(SOURCE.rglob("*.py"))
        for danger in dangers(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert found == []


@pytest.mark.parametrize(
    "code",
    [
        *("import pickle", "from pickle import loads", "import yaml", "import h5py.h5"),
        *("pickle.load(f)", "marshal.loads(x)", "joblib.load(x)", "torch.load(p)", "yaml.load(x)"),
        *("np.load(p)", "np.load(p, allow_pickle=True)", "np.load(p, allow_pickle=flag)"),
        *("numpy.load(p, mmap_mode='r')", "np.save(p, a, allow_pickle=True)"),
        *("eval('1')", "exec(x)", "compile(x, 'f', 'exec')", "builtins.eval(x)"),
        *("keras.models.load_model(p)", "keras.saving.load_model(p)", "model.load_weights(p)"),
        *("keras.layers.Lambda(f)", "keras.Model.from_config(c)", "tf.saved_model.load(p)"),
        *("from keras.saving import load_model", "import subprocess", "os.system('x')"),
        *("tarfile.open(p).extractall()", "options.register_custom_ops_library(p)"),
    ],
)
def test_the_search_finds_what_it_looks_for(code: str) -> None:
    assert [*dangers(ast.parse(code))]


@pytest.mark.parametrize(
    "code",
    [
        *("json.loads(x)", "tomllib.loads(x)", "np.load(p, allow_pickle=False)", "re.compile('a')"),
        *(
            "model.compile()",
            "safetensors.numpy.load(x)",
            "np.save(p, a, allow_pickle=False)",
            "model.evaluate(x)",
        ),
    ],
)
def test_the_search_lets_plain_things_pass(code: str) -> None:
    assert [*dangers(ast.parse(code))] == []


# SECURITY.md ------------------------------------------------------------------------------------

PAGE = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (T[0-9]+) \|(.*)$", PAGE, re.MULTILINE)
PAGES = ("SECURITY.md", "docs/promises.md", "docs/faults.md")
NAMED = [
    named
    for page in PAGES
    for named in re.findall(
        r"`(tests/[\w/]+\.py)::([\w:]+)`", (ROOT / page).read_text(encoding="utf-8")
    )
]


def test_every_row_of_the_threat_model_is_answered_once() -> None:
    numbers = [name for name, _ in ROWS]
    assert numbers == [f"T{n}" for n in range(1, 24)]


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_every_test_that_is_named_exists(file: str, name: str) -> None:
    place: ast.Module | ast.ClassDef = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    *classes, test = name.split("::")
    for inside in classes:
        place = next(
            node for node in place.body if isinstance(node, ast.ClassDef) and node.name == inside
        )
    assert test in {node.name for node in place.body if isinstance(node, ast.FunctionDef)}


def test_every_promise_has_a_proof_or_says_what_is_not_built() -> None:
    page = (ROOT / "docs" / "promises.md").read_text(encoding="utf-8")
    promises = re.split(r"^## ", page, flags=re.MULTILINE)[1:-1]
    assert [text.partition(".")[0] for text in promises] == [f"{n}" for n in range(1, 16)]
    assert [text for text in promises if "::" not in text and "Not built yet" not in text] == []


def test_every_row_names_a_test_or_says_that_there_is_none() -> None:
    silent = [name for name, row in ROWS if "::" not in row and "nothing to test" not in row]
    assert silent == []


def test_the_limits_that_are_promised_are_those_of_the_source() -> None:
    from fieldmark.bundle import MAX_BYTES, sizing, strict_json, tensors
    from fieldmark.inference.predictor import MAX_FILE_BYTES
    from fieldmark.modalities import image
    from fieldmark.networks import volumes

    facts = {
        f"{MAX_BYTES >> 30} GiB for a file": True,
        f"{strict_json.MAX_DEPTH} levels of JSON": True,
        f"{tensors.MAX_TENSORS:,} tensors": True,
        f"{sizing.MAX_VALUES // 10**6} million numbers": True,
        f"{sizing.MAX_WORK // 10**9} billion multiply-adds": True,
        f"{volumes.MAX_WEIGHTS // 10**6} million weights": True,
        f"{image.MAX_PIXELS // 10**6} million pixels, {image.MAX_ASPECT}:1, "
        f"{MAX_FILE_BYTES // 10**6} MB": True,
    }
    said = " ".join(PAGE.split())
    assert {fact: fact in said for fact in facts} == facts
