"""Every hostile file of the zoo is refused by its code, and nothing else happens."""

from __future__ import annotations

import builtins
import marshal
import os
import pickle
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import fieldmark as fm
from fieldmark import bundle, cli, rng
from fieldmark.errors import BundleError
from fieldmark.inference.predictor import Predictor
from fieldmark.networks.torch_file import read_tensors
from tests.bundle.zoo import FOREIGN, GOLDEN, ZOO, Beast, good, torch_file

Opened = Callable[[Path], object]
DOORS: dict[str, tuple[Opened, ...]] = {
    "model": (lambda path: bundle.read(path, weights=True), fm.inspect),
    "weights": (lambda path: read_tensors(path.read_bytes()),),
}


@pytest.fixture(scope="module", autouse=True)
def warm() -> None:
    """Whatever is imported on first use is imported now: importing runs code, and may."""
    fm.inspect(GOLDEN / "bundle_v3.fieldmark")
    Predictor.open(GOLDEN / "bundle_v1.fieldmark")
    read_tensors(torch_file(b"\x80\x02}.")())


def everything(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        path.relative_to(folder).as_posix(): (path.lstat().st_size, path.lstat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
    }


@pytest.fixture
def hostile(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Beast, Path]:
    """One of the zoo and its file, made before the cage is shut."""
    beast = ZOO[request.param]
    return beast, beast.write(tmp_path)


@pytest.fixture
def cage(hostile: tuple[Beast, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with secrets around it, and no way to run or reach anything."""
    here = tmp_path / "outer" / "here"
    here.mkdir(parents=True)
    for place in (tmp_path / "outer", here):
        (place / "weights.bin").write_bytes(bytes(16))
    os.link(here / "weights.bin", here / "hard-link-to-something.bin")
    monkeypatch.chdir(here)

    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("something was run, reached or unpickled")

    for owner, name in (
        *((builtins, each) for each in ("exec", "eval")),
        *((os, each) for each in ("system", "popen", "posix_spawn", "fork", "execv")),
        *((subprocess, "Popen"), (socket, "socket"), (socket, "create_connection")),
        *((marshal, "loads"), (pickle, "loads"), (pickle, "load"), (pickle, "Unpickler")),
    ):
        monkeypatch.setattr(owner, name, forbidden)
    return here


@pytest.mark.parametrize("hostile", ZOO, indirect=True)
@pytest.mark.usefixtures("cage")
def test_a_hostile_file_is_refused_by_its_code_and_nothing_happens(
    hostile: tuple[Beast, Path], tmp_path: Path
) -> None:
    beast, path = hostile
    before = everything(tmp_path)
    for opened in DOORS[beast.door]:
        with pytest.raises(BundleError, match=rf"\[{beast.code}\]") as caught:
            opened(path)
        error = caught.value
        assert error.exit_status == 6
        assert error.why
        assert all(char.isprintable() for char in error.what), "a name reaches the terminal"
        if beast.door == "model":
            assert error.where == str(path)
            assert error.hint
    assert everything(tmp_path) == before


@pytest.mark.parametrize(
    "name", ["graph_doubled_forty_times", "keras_file", "path_upwards", "format_from_the_future"]
)
def test_the_command_line_ends_with_6_and_says_the_code(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = ZOO[name].write(tmp_path)
    for words in (["inspect", str(path)], ["predict", str(path), "x.jpg"]):
        assert cli.run(words) == 6
        said = capsys.readouterr()
        assert said.out == ""
        assert f"[{ZOO[name].code}]" in said.err


def test_the_zoo_is_large_and_of_all_kinds() -> None:
    assert len(ZOO) >= 60
    codes = {each.code for each in ZOO.values()}
    assert codes == {
        *("model-damaged", "model-unsafe", "model-newer", FOREIGN),
        *("weights-damaged", "weights-unsafe"),
    }


def test_the_zoo_differs_from_good_files_which_are_accepted(tmp_path: Path) -> None:
    for number in range(1, bundle.FORMAT + 1):
        path = tmp_path / "good.fieldmark"
        path.write_bytes(good(number))
        assert fm.inspect(path).header.format == number
    made = {each.make() for each in ZOO.values() if not each.sparse_bytes}
    assert len(made) == len([each for each in ZOO.values() if not each.sparse_bytes])


def regions(data: bytes) -> dict[str, range]:
    """Where everything lies: each part, each header before a part, the directory, its end."""
    found = {}
    directory = data.index(b"PK\1\2")
    end = len(data) - 22
    at = 0
    while at < directory:
        size = int.from_bytes(data[at + 18 : at + 22], "little")
        length = int.from_bytes(data[at + 26 : at + 28], "little")
        name = data[at + 30 : at + 30 + length].decode()
        start = at + 30 + length
        found[f"header of {name}"], found[name] = range(at, start), range(start, start + size)
        at = start + size
    return found | {"directory": range(directory, end), "end": range(end, len(data))}


@pytest.mark.parametrize("number", range(1, bundle.FORMAT + 1))
def test_a_flipped_bit_is_refused_wherever_it_lies(number: int, tmp_path: Path) -> None:
    """At least 1,000 flips over all regions of the three golden files together."""
    data = good(number)
    places = regions(data)
    assert sum(map(len, places.values())) == len(data)
    draw = rng.derive(number, "flips by region")
    path = tmp_path / "flipped.fieldmark"
    n_flips = 0
    for place in places.values():
        for at in draw.choice(place, min(16, len(place)), replace=False):
            changed = bytearray(data)
            changed[at] ^= 1 << int(draw.integers(8))
            path.write_bytes(changed)
            with pytest.raises(BundleError, match=r"\[model-(damaged|unsafe|newer|foreign)\]"):
                bundle.read(path, weights=True)
            n_flips += 1
    assert n_flips >= 340
