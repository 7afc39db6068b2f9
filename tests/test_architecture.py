"""The rules of ARCHITECTURE.md and CONTRIBUTING.md, held by a machine."""

from __future__ import annotations

import ast
import functools
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "fieldmark"
TESTS = ROOT / "tests"

BACKEND_DOORS = (
    "training/backend.py",
    "training/optimizers.py",
    "training/step.py",
    "networks/keras_model.py",
)
DOORS = {
    "keras": ("networks/keras_model.py", "networks/keras_backbone.py", "training/"),
    "tensorflow": BACKEND_DOORS,
    "torch": BACKEND_DOORS,
    "jax": BACKEND_DOORS,
    "onnxruntime": ("inference/onnx_runtime.py", "quantization.py"),
    "openvino": ("inference/openvino_runtime.py",),
    "onnx": (
        "networks/onnx_graph.py",
        "networks/foreign_file.py",
        "networks/foreign_graph.py",
        "quantization.py",
    ),
    "cv2": ("modalities/",),
    "PIL": ("modalities/",),
    "matplotlib": ("evaluation/",),
    "jinja2": ("evaluation/",),
    "markupsafe": ("evaluation/",),
    "typer": ("cli/",),
    "rich": ("cli/",),
    "safetensors": ("bundle/", "training/checkpoint.py"),
    "sklearn": ("workflow/demonstration.py",),
}
"""Third party -> the only places that may import it; a new one needs a row here. NumPy is air."""

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 50
MAX_PARAMETERS = 6
NAMED_AFTER_NOTHING = {"utils", "util", "helpers", "helper", "common", "misc", "core"}


def sources() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def written_tests() -> list[Path]:
    return sorted(TESTS.rglob("*.py"))


def place(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


@functools.cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def imported(path: Path) -> Iterator[str]:
    """Yield the full names of the modules that a file imports, wherever in it."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module or ""


def test_the_import_contracts_hold(tmp_path: Path) -> None:
    command = [Path(sys.executable).parent / "lint-imports", "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("party", DOORS)
def test_a_heavy_dependency_has_one_door(party: str) -> None:
    users = [
        place(path) for path in sources() if party in {m.split(".")[0] for m in imported(path)}
    ]
    assert [user for user in users if not user.startswith(DOORS[party])] == []


def test_every_third_party_has_a_door() -> None:
    known = {*DOORS, "numpy", "fieldmark", *sys.stdlib_module_names}
    strangers = {
        f"{place(path)}: {module}"
        for path in sources()
        for module in imported(path)
        if module.split(".")[0] not in known
    }
    assert strangers == set()


def test_no_import_is_relative() -> None:
    relative = [
        place(path)
        for path in sources()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert relative == []


def test_no_two_files_import_each_other() -> None:
    names = {module_name(path): path for path in sources()}
    graph = {
        name: {each for each in imported_modules(path, set(names)) if each != name}
        for name, path in names.items()
    }
    # Taken away again and again: whatever imports nothing that is left. A cycle never goes.
    while free := [name for name, needs in graph.items() if not needs & graph.keys()]:
        for name in free:
            del graph[name]
    assert sorted(graph) == []


def module_name(path: Path) -> str:
    parts = ("fieldmark", *path.relative_to(SOURCE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_modules(path: Path, known: set[str]) -> Iterator[str]:
    """Yield our own modules that are imported when this one is: not for types, not lazily."""
    for node in eager(tree(path).body):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                # "from package import module" runs the module; what its __init__ holds, it.
                yield inner if inner in known else str(node.module)


def eager(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.If | ast.Try | ast.With):
            yield from eager(node.body)
        yield node


@pytest.mark.parametrize("path", sources(), ids=place)
def test_a_file_fits_in_the_head(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_FILE_LINES


def test_a_function_fits_on_a_screen() -> None:
    """Documentation is no burden: a function's lines are counted without its docstring."""
    long = []
    for path in sources():
        if place(path).startswith("cli/"):
            continue  # a verb's parameters are its options: see below
        for function in functions(path):
            doc = function.body[0] if ast.get_docstring(function) else None
            doc_lines = (doc.end_lineno or 0) - doc.lineno + 1 if doc else 0
            lines = (function.end_lineno or 0) - function.lineno + 1 - doc_lines
            if lines > MAX_FUNCTION_LINES:
                long.append(f"{place(path)}: {function.name} has {lines}")
    assert long == []


def test_a_public_function_takes_few_parameters() -> None:
    """Outside of the command line: Typer reads a verb's options off its parameters."""
    many = []
    for path in sources():
        if place(path).startswith("cli/"):
            continue
        for function in functions(path):
            given = function.args
            names = [each.arg for each in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
            n = len([name for name in names if name not in ("self", "cls")])
            if n > MAX_PARAMETERS and not function.name.startswith("_"):
                many.append(f"{place(path)}: {function.name} takes {n}")
    assert many == []


def test_the_bodies_of_verbs_are_short_too() -> None:
    long = []
    for path in sorted((SOURCE / "cli").glob("*.py")):
        for function in functions(path):
            body = function.body[bool(ast.get_docstring(function)) :]
            lines = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
            if lines > MAX_FUNCTION_LINES:
                long.append(f"{place(path)}: {function.name} has {lines}")
    assert long == []


def test_no_function_swallows_keyword_arguments() -> None:
    tunnels = [
        f"{place(path)}: {function.name}"
        for path in sources()
        for function in functions(path)
        if function.args.kwarg
    ]
    assert tunnels == []


def test_no_file_is_named_after_nothing() -> None:
    parts = {part for path in [*sources(), *written_tests()] for part in path.with_suffix("").parts}
    assert parts & NAMED_AFTER_NOTHING == set()


def test_no_loose_ends_are_left() -> None:
    words = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b|NotImplemented" r"Error")
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in [*sources(), *written_tests()]
        for line in path.read_text(encoding="utf-8").splitlines()
        if words.search(line)
    ]
    assert found == []


def test_only_the_screen_prints() -> None:
    printing = [
        place(path)
        for path in sources()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "print"
    ]
    assert printing == []


def test_nothing_is_unpickled_evaluated_or_fetched() -> None:
    forbidden = {"pickle", "marshal", "shelve", "socket", "urllib", "http", "requests", "ctypes"}
    used = [
        f"{place(path)}: {module}"
        for path in sources()
        for module in imported(path)
        if module.split(".")[0] in forbidden
    ]
    called = [
        f"{place(path)}: {node.func.id}"
        for path in sources()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        if node.func.id in ("eval", "exec", "compile", "__import__")
    ]
    assert used + called == []


def test_the_randomness_of_numpy_stays_behind_one_door() -> None:
    """Drawing from a shared stream would make results depend on order and workers."""
    users = [
        place(path)
        for path in sources()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).startswith(("np.random.", "random."))
    ]
    assert set(users) == {"rng.py"}


def test_every_expected_error_says_which() -> None:
    vague = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in written_tests()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("pytest.raises", "raises")
        and not any(keyword.arg == "match" for keyword in node.keywords)
    ]
    assert vague == []


def test_there_is_at_least_as_much_test_as_source() -> None:
    def lines(paths: list[Path]) -> int:
        return sum(len(path.read_text(encoding="utf-8").splitlines()) for path in paths)

    assert lines(written_tests()) >= lines(sources())


def test_every_source_file_starts_with_its_contract() -> None:
    silent = [place(path) for path in sources() if not ast.get_docstring(tree(path))]
    assert [each for each in silent if each != "version.py"] == []


def loaded(code: str) -> set[str]:
    """Return the top-level modules that are loaded after running the code in a new process."""
    report = "import json, sys; sys.stderr.write('@' + json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=True,
    )
    names = json.loads(done.stderr.rpartition("@")[2])
    return {name.split(".")[0] for name in names}


TRAINING_STACK = {"keras", "tensorflow", "torch", "jax"}


def test_importing_fieldmark_loads_the_standard_library_only() -> None:
    third_party = loaded("import fieldmark") & {*DOORS, "numpy"}
    assert third_party == set()


@pytest.mark.parametrize("room", ["inference", "bundle", "evaluation", "modalities", "networks"])
def test_a_room_that_ships_loads_without_the_training_stack(room: str) -> None:
    assert loaded(f"import fieldmark.{room}") & TRAINING_STACK == set()


@pytest.mark.parametrize("module", ["evaluation.page", "evaluation.charts", "inference.predictor"])
def test_pictures_and_pages_are_loaded_when_they_are_made(module: str) -> None:
    assert loaded(f"import fieldmark.{module}") & {"matplotlib", "jinja2", "onnx"} == set()
