# SPDX-License-Identifier: GPL-2.0-or-later
"""Command line of the bench."""

import argparse
import importlib.util
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import bench
from bench import chart, report, scaling
from bench.cases import CASES, OURS, Case, Program, Result, time_case
from bench.measure import FailedRunError
from bench.source import ROOT, dump_of, large_vmcore, original

FORMATS = {"text": report.text, "markdown": report.markdown, "json": report.as_json, "svg": chart.svg}


def main(argv: Sequence[str] | None = None) -> int:
    """Time the chosen cases and print the results."""
    arguments = parser().parse_args(argv)
    try:
        ours = Program(OURS, arguments.ours or (sys.executable, "-m", "makedumpfile"), environment())
        reference = Program("reference", arguments.reference, dict(os.environ))
        if arguments.scaling:
            print(scaling.text([scaling.scale(gib, ours, arguments.directory) for gib in arguments.scaling]))
            return 0
        cases = [case for case in CASES if case.name in (arguments.case or [case.name])]
        results = time_cases(cases, ours, reference, arguments)
    except (FailedRunError, OSError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(FORMATS[arguments.format](results))
    return 0


def time_cases(cases: Sequence[Case], ours: Program, reference: Program, arguments: argparse.Namespace) -> list[Result]:
    """Time each case; what is going on goes to standard error."""
    vmcore = None
    if any(case.has_input for case in cases):
        vmcore = arguments.vmcore or large_vmcore(arguments.gib)
        say(f"vmcore: {vmcore}, {vmcore.stat().st_size / report.MIB:.0f} MiB")
        if vmcore.stat().st_size > available_memory() // 2:
            say("the page cache can't hold the vmcore: the disk is timed too")
    for program in (ours, reference):
        say(f"{program.name}: {version(program).partition(chr(10))[0]}: {shlex.join(program.command)}")
    results = []
    with tempfile.TemporaryDirectory(prefix="bench.", dir=arguments.directory) as scratch:
        for case in cases:
            if case.codec and f"{case.codec}\tenabled" not in version(reference):
                say(f"{case.name}: the reference was built without {case.codec}")
                continue
            say(f"{case.name}: {arguments.pairs} pairs")
            source = vmcore if case.has_input else None
            if vmcore and case.of:
                source = dump_of(vmcore, case.of, reference, Path(scratch))
            results.append(time_case(case, ours, reference, source, Path(scratch, "output"), arguments.pairs))
    return results


def environment() -> dict[str, str]:
    """Where Python finds our makedumpfile: installed, or else in this checkout."""
    if importlib.util.find_spec("makedumpfile"):
        return dict(os.environ)
    sources = [ROOT / "src", *sorted(ROOT.glob("packages/*/src"))]
    return os.environ | {"PYTHONPATH": os.pathsep.join(map(str, sources))}


def version(program: Program) -> str:
    """What its -v prints: the version, and the codecs it has."""
    result = subprocess.run([*program.command, "-v"], env=program.environment, capture_output=True, text=True)
    if result.returncode:
        raise FailedRunError(f"{shlex.join(program.command)} -v: {result.stderr.strip()[-500:]}")
    return result.stdout


def available_memory() -> int:
    """MemAvailable, in bytes."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))


def command_line(text: str) -> tuple[str, ...]:
    """The words of a command line; at least one."""
    words = tuple(shlex.split(text))
    if not words:
        raise argparse.ArgumentTypeError("an empty command line")
    return words


def positive(text: str) -> int:
    """A number above 0."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number


def say(line: str) -> None:
    """Tell what is going on."""
    print(line, file=sys.stderr)


def parser() -> argparse.ArgumentParser:
    """The bench's options."""
    made = argparse.ArgumentParser(
        "python -m bench", description=bench.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--vmcore", type=Path, metavar="FILE", help="input; by default one is made, and kept")
    made.add_argument("--gib", type=positive, default=3, help="size of the vmcore that is made (default: %(default)s)")
    made.add_argument("--case", action="append", choices=[case.name for case in CASES], help="may be repeated; all")
    made.add_argument("--pairs", type=positive, default=5, metavar="N", help="pairs of runs (default: %(default)s)")
    made.add_argument("--ours", type=command_line, default=(), metavar="COMMAND", help="instead of this checkout's")
    made.add_argument(
        "--reference",
        type=command_line,
        default=original(),
        metavar="COMMAND",
        help="the original (default: the newest that tests/judges/fetch.py has fetched, else the machine's)",
    )
    made.add_argument(
        "--scaling", type=positive, nargs="+", metavar="GIB", help="instead, run ours on machines of these sizes"
    )
    made.add_argument("--directory", type=Path, metavar="DIR", help="where the dumps are written and removed again")
    made.add_argument("--format", choices=FORMATS, default="text", help="of the results (default: %(default)s)")
    return made


if __name__ == "__main__":
    sys.exit(main())
