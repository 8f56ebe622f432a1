"""``overwinter-guest-doctor``: examine this machine and say what would keep it from being backed up.

Python 3.6, standard library only.
"""

import argparse
import json
import os
import shutil
import sys
import time
from typing import Any, NoReturn, Optional, Sequence, Tuple

from overwinter.extension.doctor.checks.catalogue import examine
from overwinter.extension.doctor.diagnosis import diagnose
from overwinter.extension.doctor.facts.endpoint import PORTS, WELL_KNOWN
from overwinter.extension.doctor.facts.snapshot import Facts, collect, collect_windows
from overwinter.extension.doctor.machine import PROGRAM_DIRECTORIES, Machine
from overwinter.extension.doctor.redact import redact
from overwinter.extension.doctor.report import Report, as_document, as_lines
from overwinter.extension.doctor.text import Unknown
from overwinter.extension.doctor.texts import Texts, choose

#: Wrong use; 2 stands for failed checks (``EX_USAGE`` of sysexits.h).
WRONG_USE = 64

_MOST_WIDTH = 110

_EPILOG = "Exit status: 0 all passed, 1 warnings, 2 failures, 3 nothing worse than unknown, 64 wrong use."


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(WRONG_USE, "{}: {}\n".format(self.prog, message))


def _ports(text: str) -> Tuple[int, ...]:
    ports = tuple(int(part) for part in text.split(","))
    if len(ports) != len(PORTS) or not all(0 < port < 65536 for port in ports):
        raise ValueError(text)
    return ports


def _directory(text: str) -> str:
    if not os.path.isdir(text):
        raise argparse.ArgumentTypeError("there is no directory {}".format(text))
    return os.path.realpath(text)


def _arguments(arguments: Optional[Sequence[str]]) -> Any:
    parser = _Parser(
        prog="overwinter-guest-doctor",
        description="Says why a backup of this machine would fail. Run it as root; it changes nothing.",
        epilog=_EPILOG,
    )
    parser.add_argument("--json", action="store_true", help="one JSON document instead of text")
    parser.add_argument("--lang", default="", help="language of the texts; else that of the environment")
    parser.add_argument("--no-redact", action="store_true", help="show passwords and signatures, too")
    parser.add_argument(
        "--root", type=_directory, default="/", help="examine a copy of a machine below this directory"
    )
    parser.add_argument(
        "--endpoint", help="address of the host; else the one the agent knows, else {}".format(WELL_KNOWN)
    )
    parser.add_argument(
        "--ports",
        type=_ports,
        default=PORTS,
        metavar="A,B,C",
        help="its wire server, its HTTPS and its plug-in; else {},{},{}".format(*PORTS),
    )
    return parser.parse_args(arguments)


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the doctor; the answer is the exit status."""
    asked = _arguments(arguments)
    now = time.time()
    facts = _facts(asked, now)
    report = _report(facts, asked, now)
    if asked.json:
        print(json.dumps(as_document(report), indent=1))
    else:
        _print(report)
        if not facts.windows and os.geteuid() != 0:
            print(report.texts.word("not-root"), file=sys.stderr)
    return report.exit_status


def _facts(asked: Any, now: float) -> Facts:
    if sys.platform == "win32" and asked.root == "/":
        system_root = os.environ.get("SYSTEMROOT", "C:\\Windows")
        return collect_windows(Machine("/", [system_root + "\\System32"], now), asked.endpoint, asked.ports)
    programs = PROGRAM_DIRECTORIES if asked.root == "/" else ()
    return collect(Machine(asked.root, programs, now), asked.endpoint, asked.ports)


def _report(facts: Facts, asked: Any, now: float) -> Report:
    results = examine(facts)
    named = ("", "") if isinstance(facts.system, Unknown) else (facts.system.hostname, facts.system.name)
    return Report(
        machine=named[0],
        system=named[1],
        at=now,
        results=results,
        likely=diagnose(results),
        texts=Texts(choose(asked.lang, os.environ)),
        clean=str if asked.no_redact else redact,
    )


def _print(report: Report) -> None:
    terminal = sys.stdout.isatty()
    width = min(shutil.get_terminal_size().columns, _MOST_WIDTH) if terminal else _MOST_WIDTH
    encoding = sys.stdout.encoding or "ascii"
    for line in as_lines(report, width, terminal):
        print(line.encode(encoding, errors="replace").decode(encoding))
