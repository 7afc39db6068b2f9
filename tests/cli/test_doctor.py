"""``fieldmark doctor``: word for word on a made-up computer, and for real on this one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from fieldmark.workflow import doctor as looking
from fieldmark.workflow.doctor import Diagnosis, Finding
from fieldmark.workflow.installed import Package
from fieldmark.workflow.speed import Speed
from tests.cli.conftest import Command, environment, spawned

GOOD = Diagnosis(
    version="0.1.0",
    python="3.12.1",
    system="Linux x86_64",
    packages=(
        Package(name="numpy", version="2.4.6", floor="1.26"),
        Package(name="pillow", version="12.1.0", floor="13.0"),
        Package(name="keras", version="3.15.1", floor="3.15.1", extras=("tensorflow", "jax")),
        Package(name="tensorflow", version="2.21.0", floor="2.19", extras=("tensorflow",)),
        Package(name="jax", version="", floor="0.5", extras=("jax",)),
    ),
    findings=(
        Finding(name="backend", text="tensorflow 2.21.0, Keras 3.15.1 (the default)"),
        Finding(name="weights", text="efficientnet-lite0, SHA-256 579344248a93e230 as it must be"),
        Finding(name="engine", text="ONNX Runtime 1.32.0; for many pictures OpenVINO 2026.4.1"),
        Finding(name="processor", text="A 3000, 2 cores of 8; AVX2, FMA"),
        Finding(name="memory", text="6.1 of 8.2 GB free"),
        Finding(name="cache", text="/home/me/.cache/fieldmark: can be written, 48.0 GB free"),
        Finding(name="runs", text="runs: can be written, 48.0 GB free"),
    ),
    speeds=(
        Speed(
            name="answering",
            value=101.64,
            low=98.2,
            high=104.4,
            unit="pictures/s",
            n=8,
            conditions="efficientnet-lite0, batches of 8, onnxruntime 1.32.0, 2 threads",
        ),
    ),
)
BAD = Diagnosis(
    version="0.1.0",
    python="3.12.1",
    system="Linux x86_64",
    packages=(Package(name="numpy", version="", floor="1.26"),),
    findings=(
        Finding(
            name="runs",
            text="runs: cannot be written (Read-only file system)",
            state="lacking",
            fix="-o FOLDER writes runs elsewhere",
        ),
    ),
)

SAID = """\
fieldmark 0.1.0, Python 3.12.1, Linux x86_64

package                           installed   at least
numpy                             2.4.6       1.26
pillow                            12.1.0      13.0      too old
keras                             3.15.1      3.15.1
tensorflow                        2.21.0      2.19
jax                               missing     0.5

backend     tensorflow 2.21.0, Keras 3.15.1 (the default)
weights     efficientnet-lite0, SHA-256 579344248a93e230 as it must be
engine      ONNX Runtime 1.32.0; for many pictures OpenVINO 2026.4.1
processor   A 3000, 2 cores of 8; AVX2, FMA
memory      6.1 of 8.2 GB free
cache       /home/me/.cache/fieldmark: can be written, 48.0 GB free
runs        runs: can be written, 48.0 GB free
answering   102 pictures/s (98 to 104, 8 rounds; efficientnet-lite0, batches of
            8, onnxruntime 1.32.0, 2 threads)
offline     yes: all that train, evaluate and predict need is on this disk.
            fieldmark opens no connection; only with --allow-network may Keras
            fetch a backbone

missing     jax, for training by gradients with JAX: pip install
            "fieldmark[jax]"
warning     pillow 12.1.0 is older than 13.0; pip install "pillow>=13.0"

Ready: fieldmark train FOLDER can run.
"""


def diagnosed(monkeypatch: pytest.MonkeyPatch, found: Diagnosis) -> list[object]:
    asked: list[object] = []

    def doctor(folder: str, *, measure: bool) -> Diagnosis:
        asked.append((folder, measure))
        return found

    monkeypatch.setattr(looking, "doctor", doctor)
    return asked


def test_a_good_computer_word_for_word(fieldmark: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = diagnosed(monkeypatch, GOOD)
    done = fieldmark("doctor")
    assert (done.status, done.out, done.err) == (0, SAID, "")
    assert asked == [("runs", True)]


def test_what_is_lacking_is_status_5_word_for_word(
    fieldmark: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = diagnosed(monkeypatch, BAD)
    done = fieldmark("doctor", "--no-speed", "-o", "out")
    assert done.status == 5
    assert done.err == ""
    assert done.out == (
        "fieldmark 0.1.0, Python 3.12.1, Linux x86_64\n"
        "\n"
        "package                           installed   at least\n"
        "numpy                             missing     1.26\n"
        "\n"
        "runs        runs: cannot be written (Read-only file system)\n"
        "offline     no: what is lacking has to be installed first\n"
        "\n"
        'lacking     numpy: not installed; pip install "numpy>=1.26"\n'
        "lacking     runs: runs: cannot be written (Read-only file system); -o FOLDER\n"
        "            writes runs elsewhere\n"
        "\n"
        "Not ready.\n"
    )
    assert asked == [("out", False)]


def test_strict_counts_warnings(fieldmark: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    diagnosed(monkeypatch, GOOD)
    done = fieldmark("doctor", "--strict")
    assert done.status == 4
    assert done.out == SAID
    assert "[doctor-strict]" in done.err
    assert "pillow 12.1.0 is older than 13.0" in done.err
    diagnosed(monkeypatch, BAD)
    assert fieldmark("doctor", "--strict").status == 5


def test_json_is_one_object(fieldmark: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    diagnosed(monkeypatch, GOOD)
    told = json.loads(fieldmark("doctor", "--json").out)
    assert told["ready"] is told["offline"] is True
    assert told["warnings"] == ['pillow 12.1.0 is older than 13.0; pip install "pillow>=13.0"']
    assert [each["installed"] for each in told["packages"]][-1] is None
    assert told["speeds"][0]["n"] == 8
    diagnosed(monkeypatch, BAD)
    done = fieldmark("doctor", "--json")
    assert (done.status, json.loads(done.out)["ready"]) == (5, False)


@pytest.mark.parametrize("columns", ["60", "80", "120"])
def test_it_is_no_wider_than_the_screen(
    fieldmark: Command, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    for found in (GOOD, BAD):
        diagnosed(monkeypatch, found)
        assert max(map(len, fieldmark("doctor").out.splitlines())) <= int(columns)


def test_for_real_it_measures_and_leaves_nothing(tmp_path: Path) -> None:
    done = spawned("doctor", "--json", cwd=tmp_path, FIELDMARK_CACHE=str(tmp_path / "cache"))
    assert done.status == 0, done.err
    told = json.loads(done.out)
    assert {each["name"] for each in told["speeds"]} >= {"decoding", "matrices"}
    assert list(tmp_path.iterdir()) == []


HOBBLED = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {gone!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
from fieldmark.cli import run
status = run(["doctor"])
assert not {{"keras", "tensorflow", "jax", "torch"}} & set(sys.modules)
sys.exit(status)
"""
EVERYTHING = [
    *("numpy", "cv2", "PIL", "onnx", "onnxruntime", "safetensors", "matplotlib", "jinja2"),
    *("openvino", "sklearn", "keras", "tensorflow"),
]


@pytest.mark.parametrize(
    "gone", [["keras", "tensorflow"], EVERYTHING, ["cv2"], ["onnx"]], ids=lambda gone: gone[0]
)
def test_it_runs_where_packages_cannot_be_imported(tmp_path: Path, gone: list[str]) -> None:
    """Metadata still names them, so the status is not asked about; only that it gets there."""
    done = subprocess.run(
        [sys.executable, "-c", HOBBLED.format(gone=gone)],
        cwd=tmp_path,
        env=environment(FIELDMARK_CACHE=str(tmp_path / "cache")),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 5), done.stderr
    assert done.stderr == ""
    assert "offline  " in done.stdout
