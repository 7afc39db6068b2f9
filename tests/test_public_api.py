from __future__ import annotations

import inspect
import json
import subprocess
import sys
import tomllib
import types
from pathlib import Path

import pytest

import fieldmark as fm

ROOT = Path(__file__).parents[1]

PROMISED = {
    *("Dataset", "Evaluation", "Inspection", "Net", "Prediction", "Predictor", "Run", "Settings"),
    *("Unread", "check", "compare", "cross_validate", "evaluate", "inspect", "load", "net"),
    *("open", "open_run", "predict", "resume", "train", "Diagnosis", "doctor", "Reproduction"),
    "reproduce",
    *(
        "BundleError",
        "Check",
        "Compared",
        "ConfigError",
        "DataError",
        "FieldmarkError",
        "GateError",
        "StorageError",
    ),
    *("LayerListError", "MissingExtra", "TrainingDiverged", "UnreadableExample", "UsageError"),
    "__version__",
}


def in_a_fresh_process(code: str) -> str:
    done = subprocess.run(
        [
            sys.executable,
            "-I",
            "-c",
            f"import sys; sys.path.insert(0, {str(ROOT / 'src')!r}); {code}",
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_fieldmark_imports_the_standard_library_only() -> None:
    code = (
        "before = set(sys.modules); import fieldmark, json; "
        "print(json.dumps(sorted({m.partition('.')[0] for m in set(sys.modules) - before})))"
    )
    loaded = set(json.loads(in_a_fresh_process(code)))
    assert "fieldmark" in loaded
    assert loaded - set(sys.stdlib_module_names) == {"fieldmark"}


def test_opening_a_model_needs_no_training_stack() -> None:
    code = (
        "import fieldmark as fm, json; fm.open; fm.Prediction; fm.Unread; "
        "print(json.dumps(sorted({m.partition('.')[0] for m in sys.modules})))"
    )
    loaded = set(json.loads(in_a_fresh_process(code)))
    assert not loaded & {"keras", "tensorflow", "jax", "torch", "matplotlib", "typer", "rich"}


def test_the_door_is_exactly_what_is_promised() -> None:
    assert set(fm.__all__) == PROMISED
    assert list(fm.__all__) == sorted(fm.__all__)


@pytest.mark.parametrize("name", sorted(PROMISED - {"__version__"}))
def test_every_name_is_there_and_explained(name: str) -> None:
    value = getattr(fm, name)
    assert value.__module__.startswith("fieldmark.")
    assert inspect.getdoc(value)
    assert getattr(fm, name) is value


def test_names_come_from_where_the_type_checker_thinks() -> None:
    """The lazy table and the imports under TYPE_CHECKING say the same."""
    import ast

    tree = ast.parse((ROOT / "src/fieldmark/__init__.py").read_text(encoding="utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    typed = {
        alias.asname or alias.name: (node.module or "").removeprefix("fieldmark.")
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert typed == fm._WHERE


def test_each_error_is_one_of_ours() -> None:
    errors = [getattr(fm, name) for name in PROMISED if inspect.isclass(getattr(fm, name, None))]
    kinds = [kind for kind in errors if issubclass(kind, Exception)]
    assert len(kinds) == 11
    assert all(issubclass(kind, fm.FieldmarkError) for kind in kinds)


def test_dir_shows_the_door_and_nothing_else() -> None:
    assert dir(fm) == sorted(PROMISED)


def test_a_star_import_brings_every_name() -> None:
    code = "from fieldmark import *; print(open.__name__, train.__name__, Settings.__name__)"
    assert in_a_fresh_process(code) == "open_model train Settings\n"


@pytest.mark.parametrize("name", ["trian", "keras", "_secret"])
def test_an_unknown_name_is_an_attribute_error(name: str) -> None:
    with pytest.raises(AttributeError, match=f"module 'fieldmark' has no attribute '{name}'"):
        getattr(fm, name)
    assert not hasattr(fm, name)


def test_the_version_is_written_once_and_matches_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert fm.__version__ == project["version"]


def test_public_functions_take_few_and_named_arguments() -> None:
    for name in PROMISED:
        value = getattr(fm, name)
        if not isinstance(value, types.FunctionType):
            continue
        taken = inspect.signature(value).parameters.values()
        plain = [p for p in taken if p.kind is p.POSITIONAL_OR_KEYWORD]
        assert len(taken) <= 6, name
        assert len(plain) <= 2, name
        assert all(p.annotation is not p.empty for p in taken), name


def test_the_package_says_that_it_is_typed() -> None:
    assert (ROOT / "src" / "fieldmark" / "py.typed").is_file()
