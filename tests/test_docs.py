"""The documents say what the program does: codes, commands, layer lists, examples and links."""

from __future__ import annotations

import ast
import doctest
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fieldmark.cli import VERBS
from fieldmark.networks.parser import SYNTAX, parse
from fieldmark.networks.volumes import plan
from tests.pictures import write_shapes

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "fieldmark"
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(page: str, language: str) -> list[str]:
    """Return the fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


# Codes ------------------------------------------------------------------------------------------

WORD = re.compile(r"[a-z]+[0-9]*(-[a-z]+)*")
IN_BRACKETS = re.compile(r"\[([a-z-]+)\]$")
GIVEN_FIRST = {"refuse", "_unreadable", "Hint"}
"""Functions whose first argument is a code."""
TABLES = {"_REASONS", "_ADVICE", "KINDS"}
"""Tables whose keys are codes."""
IN_TUPLES = {"files.py", "listing.py"}
"""Where a code and its reason are given side by side."""
NO_CODES = {"file", "folder"}


def used_codes() -> dict[str, set[str]]:
    """Return every code of the source with the files it stands in."""
    found: dict[str, set[str]] = {}
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for code in codes_in(node, path):
                found.setdefault(code, set()).add(path.relative_to(SOURCE).as_posix())
    return found


def codes_in(node: ast.AST, path: Path) -> Iterator[str]:
    match node:
        case ast.keyword(arg="code", value=ast.Constant(value=str(code))):
            yield code
        case ast.Call(func=ast.Name(id=name), args=[ast.Constant(value=str(code)), *_]):
            if name in GIVEN_FIRST:
                yield code
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.Dict(keys=keys)):
            if name in TABLES:
                yield from (key.value for key in keys if isinstance(key, ast.Constant))
        case ast.Return(value=ast.Tuple(elts=parts)) | ast.Assign(value=ast.Tuple(elts=parts)):
            if path.name in IN_TUPLES:
                yield from words_in(parts)
        case ast.Return(value=ast.Constant() as value) if path.name == "jpeg.py":
            yield from words_in([value])
        case ast.Constant(value=str(said)) if path.parent.name == "cli":
            yield from IN_BRACKETS.findall(said)


def words_in(parts: list[ast.expr]) -> Iterator[str]:
    for part in parts:
        said = [each.value for each in ast.walk(part) if isinstance(each, ast.Constant)]
        words = [each for each in said if isinstance(each, str) and WORD.fullmatch(each)]
        yield from (word for word in words if word not in NO_CODES)


def told_codes() -> list[str]:
    return re.findall(r"^\| `([a-z0-9-]+)` \|", text("docs/errors.md"), re.MULTILINE)


def test_every_code_of_the_source_is_explained() -> None:
    missing = {code: files for code, files in used_codes().items() if code not in told_codes()}
    assert missing == {}


def test_every_explained_code_is_in_the_source() -> None:
    assert sorted(set(told_codes()) - used_codes().keys()) == []


def test_no_code_is_explained_twice() -> None:
    told = told_codes()
    assert sorted({code for code in told if told.count(code) > 1}) == []


def test_codes_are_words_with_dashes() -> None:
    assert [code for code in used_codes() if not WORD.fullmatch(code)] == []


def test_every_error_on_purpose_has_a_code_and_a_next_step() -> None:
    """An unreadable example has no next step of its own: whoever shows it groups the reasons."""
    kinds = {"UsageError", "ConfigError", "DataError", "GateError", "MissingExtra", "ParityError"}
    kinds |= {"BundleError", "LayerListError", "TrainingDiverged"}
    bare = [
        f"{path.relative_to(SOURCE)}:{node.lineno}"
        for path in sorted(SOURCE.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in kinds
        and not {"code", "hint"} <= {keyword.arg for keyword in node.keywords}
    ]
    assert bare == []


# Commands ---------------------------------------------------------------------------------------


def test_the_page_of_commands_is_fresh() -> None:
    command = [sys.executable, DOCS / "generate.py", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_its_section(verb: str) -> None:
    page = text("docs/commands.md")
    section = page.partition(f"## fieldmark {verb}\n")[2].partition("\n## ")[0]
    assert f"# for example\nfieldmark {verb}" in section
    for row in re.findall(r"^\| `(.+?)` \| (.*?) \| (.*?) \|$", section, re.MULTILINE):
        assert row[2], f"{verb} {row[0]} is not explained"


def test_the_pages_name_only_verbs_and_options_that_exist() -> None:
    from typer.main import get_command

    from fieldmark.cli import app

    commands = getattr(get_command(app), "commands")  # noqa: B009 - click's own type lacks it
    known = {
        verb: {spelling for each in commands[verb].params for spelling in each.opts}
        for verb in VERBS
    }
    wrong = []
    for page in PAGES:
        said = page.read_text(encoding="utf-8")
        for verb, rest in re.findall(r"(?:^\$ |`)fieldmark ([a-z]+)([^`\n]*)", said, re.MULTILINE):
            options = set(re.findall(r"(?<=\s)--[a-z0-9-]+", rest.partition("  ")[0]))
            unknown = options - known.get(verb, set()) - {"--help", "--debug", "--no-color"}
            if verb not in known or unknown:
                wrong.append(f"{page.name}: fieldmark {verb}{rest}")
    assert wrong == []


def test_every_target_of_the_makefile_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", text("Makefile"), re.MULTILINE))
    wrong = {
        f"{page.name}: make {target}"
        for page in PAGES
        for target in re.findall(r"(?:`|^)make ([a-z]+)", page.read_text("utf-8"), re.MULTILINE)
        if target not in targets
    }
    assert wrong == set()
    assert {"demo", "test", "check", "slow", "bench", "clean"} <= targets


# Layer lists ------------------------------------------------------------------------------------


def layer_lists() -> list[str]:
    return [
        block
        for page in PAGES
        for language in ("layers", "")
        for block in blocks(page.read_text(encoding="utf-8"), language)
        if re.match(r"(#.*\n)*INPUT ", block)
    ]


@pytest.mark.parametrize("layers", layer_lists(), ids=range(len(layer_lists())))
def test_every_layer_list_that_is_shown_fits(layers: str) -> None:
    made = plan(parse(layers), 5)
    assert made.steps[-1].output == (5,)


def test_every_word_of_the_language_is_explained() -> None:
    rows = "\n".join(re.findall(r"^\| `.*?\|", text("docs/layers.md"), re.MULTILINE))
    assert [word for word in SYNTAX if f"`{word}`" not in rows] == []


@pytest.mark.parametrize("page", [p for p in PAGES if ">>>" in p.read_text("utf-8")], ids=str)
def test_what_is_typed_at_a_prompt_answers_as_shown(page: Path) -> None:
    failed, tried = doctest.testfile(str(page), module_relative=False, encoding="utf-8")
    assert tried > 0
    assert failed == 0


# Python -----------------------------------------------------------------------------------------


def run_python(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=os.environ | {"FIELDMARK_CACHE": str(folder / ".cache"), "PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_the_python_of_the_readme_runs(tmp_path: Path) -> None:
    write_shapes(tmp_path / "flowers", 12)
    write_shapes(tmp_path / "more", 1)
    (tmp_path / "new").mkdir()
    for name, shape in (("a.jpg", "circle"), ("b.jpg", "square")):
        (tmp_path / "more" / shape / "000.png").rename(tmp_path / "new" / name)
    done = run_python("\n".join(blocks(text("README.md"), "python")), tmp_path)
    assert done.returncode == 0, done.stderr
    accuracy, answer, *others = done.stdout.splitlines()
    assert re.match(r"accuracy \d+\.\d % \(\d+\.\d to \d+\.\d, \d+ pictures\)", accuracy)
    assert answer.split()[0] in ("circle", "square", "triangle")
    assert [line.split()[0] for line in others[:2]] == ["new/a.jpg", "new/b.jpg"]
    assert others[2].startswith("flowers: 36 pictures in 3 classes")
    assert others[-1].startswith("36 usable.")


def test_a_model_file_can_be_read_as_its_format_is_described(tmp_path: Path) -> None:
    golden = ROOT / "tests" / "golden" / "bundle_v1.fieldmark"
    (tmp_path / "waders.fieldmark").write_bytes(golden.read_bytes())
    (code,) = blocks(text("docs/formats/bundle.md"), "python")
    done = run_python(code, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in ("avocet", "heron", "Käuzchen")


def test_every_part_of_the_model_file_is_described() -> None:
    from fieldmark.bundle import FORMAT, PARTS

    page = text("docs/formats/bundle.md")
    assert f"# The model file, format {FORMAT}" in page
    assert re.findall(r"^\| `(.+?)` \|", page, re.MULTILINE) == list(PARTS)


# Pages ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_inside_the_repository_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8"))
    dead = [each for each in links if "://" not in each and not (page.parent / each).exists()]
    assert dead == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_speaks_of_a_machine(page: Path) -> None:
    said = page.read_text(encoding="utf-8")
    assert re.findall(r"(?<![\w.])/(?:home|tmp|work|root)/\S*", said) == []


def test_files_that_the_architecture_names_exist() -> None:
    said = text("ARCHITECTURE.md") + text("CONTRIBUTING.md")
    named = set(re.findall(r"`((?:[a-z_]+/)+[a-z_0-9]+\.(?:py|md))`", said))
    homes = (ROOT, SOURCE, SOURCE / "training", SOURCE / "networks")
    assert [name for name in sorted(named) if not any((h / name).exists() for h in homes)] == []


def test_every_room_has_a_floor_in_the_architecture() -> None:
    rooms = {path.stem for path in SOURCE.iterdir() if path.is_dir() or path.suffix == ".py"} - {
        "__init__",
        "__main__",
        "__pycache__",
        "py",
    }
    table = text("ARCHITECTURE.md").partition("| floor |")[2].partition("\n\n")[0]
    assert sorted(rooms - set(re.findall(r"`(\w+)`", table))) == []


def test_the_architecture_fits_on_two_pages() -> None:
    assert len(text("ARCHITECTURE.md").splitlines()) <= 110


def test_the_decisions_are_numbered_without_a_gap() -> None:
    pages = sorted((DOCS / "decisions").glob("*.md"))
    assert [page.name[:3] for page in pages] == [f"{n:03}" for n in range(1, len(pages) + 1)]
    for page in pages:
        first = page.read_text(encoding="utf-8").splitlines()[0]
        assert first.startswith(f"# {int(page.name[:3])}. "), page.name


def test_the_changelog_knows_this_version() -> None:
    from fieldmark import __version__

    assert f"## [{__version__}]" in text("CHANGELOG.md")
    assert f'version = "{__version__}"' in text("pyproject.toml")
