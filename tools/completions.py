# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes what bash and zsh complete, from the commands' own parsers: `python tools/completions.py [--check]`.

With `--check` nothing is written: files that are not up to date are named, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from manpages import PAGES, ROOT, write_or_check

import mdf.initrd.cli
import mdf.rearrange

LICENCE = "# SPDX-License-Identifier: GPL-2.0-or-later"
FILES = ("FILE", "MACRO", "ROOT", "VMCORE", "VMCOREINFO", "VMLINUX", "XEN-SYMS")
FOLDERS = ("DIR",)

BASH = """\
{licence}
{function}() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}}
    [[ $word == = ]] && word=
    [[ $before == = ]] && before=${{COMP_WORDS[COMP_CWORD-2]}}
    COMPREPLY=()
    case $before in
        {files})
            mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
        {folders})
            mapfile -t COMPREPLY < <(compgen -d -- "$word") ;;
        {others})
            ;;
        *)
            if [[ $word == -* ]]; then
                mapfile -t COMPREPLY < <(compgen -W '{all}' -- "$word")
            else
                mapfile -t COMPREPLY < <(compgen -f -- "$word")
            fi ;;
    esac
}}
complete -o filenames -F {function} {name}
"""

ZSH = """\
#compdef {name}
{licence}
_arguments -s -S \\
{options}
    '*:file:_files'
"""


@dataclass(frozen=True)
class Option:
    """An option in the ways to write it, the name of its argument if it takes one, and what it does in a sentence."""

    flags: tuple[str, ...]
    metavar: str
    sentence: str


def options(parser: argparse.ArgumentParser) -> list[Option]:
    """The options that a parser shows."""
    return [
        Option(
            tuple(flag for flags in action.option_strings for flag in flags.split(", ")),
            str(action.metavar or "") if action.nargs != 0 else "",
            str(action.help).partition(". ")[0].removesuffix("."),
        )
        for action in parser._actions
        if action.option_strings and action.help != argparse.SUPPRESS
    ]


def bash(name: str, known: list[Option]) -> str:
    """The file for bash."""

    def pattern(kind: tuple[str, ...] | None) -> str:
        rest = (*FILES, *FOLDERS)
        chosen = [one for one in known if one.metavar and (one.metavar in kind if kind else one.metavar not in rest)]
        return "|".join(flag for one in chosen for flag in one.flags) or "''"

    return BASH.format(
        licence=LICENCE,
        function=f"_{name.replace('-', '_')}",
        name=name,
        files=pattern(FILES),
        folders=pattern(FOLDERS),
        others=pattern(None),
        all=" ".join(flag for one in known for flag in one.flags),
    )


def zsh(name: str, known: list[Option]) -> str:
    """The file for zsh."""
    lines = [f"    '{line}' \\" for one in known for line in _zsh_lines(one)]
    return ZSH.format(name=name, licence=LICENCE, options="\n".join(lines))


def _zsh_lines(option: Option) -> Iterator[str]:
    sentence = option.sentence.replace("\\", "\\\\").replace("'", "'\\''").replace("[", "\\[").replace("]", "\\]")
    for flag in option.flags:
        action = "_files" if option.metavar in FILES else "_files -/" if option.metavar in FOLDERS else " "
        argument = f":{option.metavar.replace('[', ' ').replace(']', '')}:{action}" if option.metavar else ""
        takes = "" if not argument else "=" if flag.startswith("--") else "+"
        yield f"*{flag}{takes}[{sentence}]{argument}"


def files() -> Iterator[tuple[Path, str]]:
    """All files, each with its text."""
    parsers = [(folder.parent, manual.name, manual.parser()) for folder, manual in PAGES]
    parsers.append((ROOT / "packages/mdf-rearrange", "mdf-rearrange", mdf.rearrange.parser()))
    parsers.append((ROOT / "packages/mdf-initrd", "mdf-initrd", mdf.initrd.cli.parser()))
    for folder, name, parser in parsers:
        known = options(parser)
        yield folder / "completions" / f"{name}.bash", bash(name, known)
        yield folder / "completions" / f"_{name}", zsh(name, known)


if __name__ == "__main__":
    sys.exit(write_or_check(files(), sys.argv[1:]))
