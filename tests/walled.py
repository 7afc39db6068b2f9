"""Run command lines one after the other with no way out, and say what was tried all the same.

Two walls, because each sees what the other cannot. An audit hook refuses every connection, look-up
and datagram of Python code and notes it; no Python code can take such a hook away again. Compiled
libraries do not pass it, so the process may be started in a network namespace without interfaces,
where the kernel refuses them and counts every attempt (``OutNoRoutes``).

``python -m tests.walled FILE`` reads ``[[words, ...], ...]`` and writes one JSON object a line.
"""

from __future__ import annotations

import contextlib
import io
import ipaddress
import json
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

OUTWARD = (
    "socket.connect",
    "socket.sendto",
    "socket.sendmsg",
    "socket.getaddrinfo",
    "socket.gethostbyname",
    "socket.gethostbyaddr",
    "socket.getnameinfo",
    "urllib.Request",
    "http.client.connect",
    "ftplib.connect",
    "smtplib.connect",
)
PROCESSES = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "pty.spawn")
"""What another process does passes no hook of this one."""

N_DIGITS = 200

tried: list[str] = []
started: list[str] = []


def hook(event: str, given: tuple[Any, ...]) -> None:
    """Note and refuse what leads out of this process, to anything but itself."""
    if event in PROCESSES:
        started.append(str(given[0] if given else event))
    if event in OUTWARD and not _is_own(given):
        tried.append(f"{event} {given!r}")
        raise PermissionError(f"reached for the network: {event} {given!r}")


def _is_own(given: tuple[Any, ...]) -> bool:
    for each in given:
        address = each[0] if isinstance(each, tuple) and each else each
        with contextlib.suppress(ValueError):
            if isinstance(address, str) and ipaddress.ip_address(address).is_loopback:
                return True
    return False


def unroutable() -> int:
    """Return how many packets and connections the kernel found no way out for."""
    found = 0
    with contextlib.suppress(OSError):
        names, numbers = (
            line.split() for line in Path("/proc/net/snmp").read_text().splitlines()[:2]
        )
        found += int(dict(zip(names, numbers, strict=True))["OutNoRoutes"])
    with contextlib.suppress(OSError):
        for line in Path("/proc/net/snmp6").read_text().splitlines():
            name, _, number = line.partition("\t")
            found += int(number) if name.strip() == "Ip6OutNoRoutes" else 0
    return found


def main() -> None:
    """Run every command line of the file; a short demonstration is enough."""
    sys.addaudithook(hook)
    from sklearn import datasets

    from fieldmark.cli import run
    from fieldmark.workflow import demonstration, speed

    demonstration.EPOCHS = 1  # type: ignore[misc]
    speed.BUDGET_S = 0.0  # type: ignore[misc]
    whole = datasets.load_digits()
    few = SimpleNamespace(images=whole.images[:N_DIGITS], target=whole.target[:N_DIGITS])
    datasets.load_digits = lambda: few
    for words in json.loads(Path(sys.argv[1]).read_text()):
        before, noted, began = unroutable(), len(tried), time.monotonic()
        started.clear()
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            status = run(words)
        facts = {
            "words": words,
            "status": status,
            "said": said.getvalue()[-2000:],
            "seconds": round(time.monotonic() - began, 1),
            "tried": tried[noted:],
            "started": sorted(set(started)),
            "unroutable": unroutable() - before,
        }
        sys.__stdout__.write(json.dumps(facts) + "\n")  # type: ignore[union-attr]
        sys.__stdout__.flush()  # type: ignore[union-attr]


if __name__ == "__main__":
    main()
