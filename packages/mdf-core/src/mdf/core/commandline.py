# SPDX-License-Identifier: GPL-2.0-or-later
"""Reading a command line of the makedumpfile syntax.

Short options may be bundled (`-Fcd31`), long ones abbreviated while unique, options may follow operands, `--` ends
them, and of an option given twice the last one counts, unless it accumulates.
"""

from __future__ import annotations

import getopt
from collections.abc import Sequence
from dataclasses import dataclass

from mdf.core import lenient
from mdf.core.errors import UsageError
from mdf.core.messages import DEFAULT_LEVEL, Level
from mdf.core.options import OPTIONS, Mode

INVALID = "Commandline parameter is invalid.\nTry `makedumpfile --help' for more information."

_ZERO_IS_OFF = frozenset(option.name for option in OPTIONS if option.zero_is_off)
_BY_NAME = {option.name: option for option in OPTIONS}
_BY_FLAG = {flag: option for option in OPTIONS for flag in option.flags}


@dataclass(frozen=True)
class ParsedArguments:
    """A command line: the options in the order given, as (name, argument), and the operands."""

    given: tuple[tuple[str, str], ...]
    operands: tuple[str, ...]

    def every(self, name: str) -> tuple[str, ...]:
        """The arguments of all uses of an option."""
        return tuple(argument for given, argument in self.given if given == name)

    def last(self, *names: str) -> str | None:
        """The argument of the last use of any of the options, or None."""
        return next((argument for given, argument in reversed(self.given) if given in names), None)

    def last_of(self, names: Sequence[str]) -> str | None:
        """The name of the option given last among `names`, or None."""
        return next((given for given, _ in reversed(self.given) if given in names), None)

    def has(self, name: str) -> bool:
        """Whether an option was given; with the argument 0 it may count as not given."""
        argument = self.last(name)
        if argument is None or name not in _ZERO_IS_OFF:
            return argument is not None
        return any(lenient.atoi(part) > 0 for part in argument.split(","))


def parse(argv: Sequence[str], implied: str = "") -> ParsedArguments:
    """Reads the arguments of a command (without its name); `implied` is an option the command stands for."""
    words = {word.partition("=")[0] for word in argv}
    flags = [(flag, bool(option.metavar)) for flag, option in _BY_FLAG.items() if not option.in_full or flag in words]
    short = "".join(flag[1] + ":" * takes for flag, takes in flags if not flag.startswith("--"))
    long = [flag[2:] + "=" * takes for flag, takes in flags if flag.startswith("--")]
    try:
        pairs, operands = getopt.gnu_getopt(list(argv), short, long)
    except getopt.GetoptError as error:
        raise UsageError(str(error), hint=INVALID) from None
    given = tuple((_BY_FLAG[flag].name, argument) for flag, argument in pairs)
    return ParsedArguments((((implied, ""),) if implied else ()) + given, tuple(operands))


def spelled_out(parsed: ParsedArguments, mode: Mode) -> list[str]:
    """The arguments again, without abbreviations, for a command that knows the options of `mode` only."""
    words = []
    for name, argument in parsed.given:
        option = _BY_NAME[name]
        if mode in option.modes:
            words += [option.flags[0], *[argument] * bool(option.metavar)]
    return [*words, "--", *parsed.operands]


def writes_to_stdout(argv: Sequence[str]) -> bool:
    """Whether `-F` is among the arguments, even if they cannot be parsed: then messages must not go to stdout."""
    for word in argv:
        for letter in word[1:] if word[:1] == "-" != word[1:2] else "":
            if letter == "F":
                return True
            option = _BY_FLAG.get("-" + letter)
            if option is not None and option.metavar:
                break
    return False


def message_level(parsed: ParsedArguments) -> int:
    """The message level asked for, with the bits of `-D` and `--show-stats`; 7 once the parameters are only checked."""
    level = int(DEFAULT_LEVEL)
    for name, argument in parsed.given:
        if name == "check_params":
            return int(DEFAULT_LEVEL)
        if name == "message_level":
            level = lenient.message_level(argument)
    return level | parsed.has("debug") * Level.DEBUG | parsed.has("show_stats") * Level.REPORT
