"""Explains command lines that Hydra cannot use, each in one line."""

import re
import shlex
import sys
from typing import NoReturn

from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException, SearchPathException

from neuronsweep.config.check import nearest
from neuronsweep.errors import stop

HELP = "python train.py --hydra-help shows all"
# Of these only one says what the command does.
COMMANDS = {
    "run": "--run",
    "multirun": "-m",
    "cfg": "--cfg",
    "info": "--info",
    "shell_completion": "--shell-completion",
}


def check_options() -> None:
    """End a command whose options Hydra does not have, or has not together, with one line."""
    parser = get_args_parser()

    def error(message: str) -> NoReturn:
        unknown = message.removeprefix("unrecognized arguments: ")
        if unknown == message:
            stop(f"{message}; {HELP}")
        word = unknown.split()[0]
        known = [name for name in parser._option_string_actions if name.startswith("--")]
        stop(f"{word} is not an option{nearest(word.partition('=')[0], known)}; {HELP}; a key is typed KEY=VALUE")

    parser.error = error  # type: ignore[method-assign]
    options = parser.parse_args()
    given = [word for name, word in COMMANDS.items() if getattr(options, name)]
    if len(given) > 1:
        stop(f"{' and '.join(given)} are not allowed together")
    if options.resolve and not (options.cfg or options.help):
        stop("--resolve is not allowed without --cfg")


def unreadable(word: str) -> str:
    """What to say of a word that is no override."""
    key, equals, value = word.partition("=")
    if not equals:
        return f"{word} is not KEY=VALUE"
    if not re.fullmatch(r"[+~]*[A-Za-z_][\w./@:-]*", key, re.ASCII):
        return f"{word} is not KEY=VALUE: {key or 'nothing'} is not a key"
    if any(value.count(opened) != value.count(closed) for opened, closed in ("()", "[]", "{}")):
        return f"{word} cannot be read as KEY=VALUE: a bracket is not closed, or not opened"
    if value.rstrip().endswith(","):
        return f"{word} cannot be read as KEY=VALUE: nothing follows the last comma"
    parts = value.split(",")  # of a sweep only those are put in quotes that need them
    in_quotes = f"{key}=" + ",".join(part if _readable(f"{key}={part}") else _quoted(part) for part in parts)
    if not _readable(in_quotes):
        in_quotes = f"{key}={_quoted(value)}"
    return f"{word} cannot be read as KEY=VALUE: text with such characters is typed in quotes: {shlex.quote(in_quotes)}"


def _quoted(value: str) -> str:
    return QuotedString(value, Quote.double).with_quotes()


def _readable(word: str) -> bool:
    try:
        OverridesParser.create().parse_override(word)
    except HydraException:
        return False
    return True


def uncomposed(error: Exception) -> str | None:
    """What to say where Hydra cannot compose a config of what was typed; None where its own words are enough."""
    said = " ".join(str(error).split())
    if found := re.match(r"Error merging override (~.+)", said):
        return f"{found.group(1)} is not allowed: the config needs all of its keys"
    if found := re.match(r"Could not delete (?:from config\. )?'(.+?)'(?: does not exist|\. No match)", said):
        return f"{_typed('~', found.group(1))} is not allowed: the config has no {found.group(1)}"
    if found := re.match(r"Could not delete from config\. The value of '(.+?)' is (.+?)\.?$", said):
        return f"{_typed('~', found.group(1))} is not allowed: {found.group(1)} is {found.group(2)}"
    if found := re.match(
        r"(?:Could not append to config\. An item is already at '|Multiple values for )([\w./@]*\w)", said
    ):
        word = _typed("+", found.group(1))
        return f"{word} is not allowed: {found.group(1)} has a value already, which is changed by {word.lstrip('+')}"
    if found := re.match(r"Ambiguous value for argument '((.+?)=(.*?))' 1\.", said):
        word, key, values = found.groups()
        a_list = f"; a list is typed {key}=[{values}]" if "." in key else ""
        return f"{word} is not allowed: python train.py -m {word} trains a run for each value{a_list}"
    if found := re.match(r"Error parsing override '(.+?)' HydraException while evaluating", said):
        return unreadable(found.group(1))
    if isinstance(error, SearchPathException) and (found := re.match(r".*directory '(.+)' not found", said)):
        return f"--config-dir={found.group(1)} is not allowed: it is not a directory"
    return None


def file_of_group(missing: str, choices: list[str]) -> str:
    """What to say of a choice that a group does not have; ``missing`` is GROUP/CHOICE as Hydra looked for it."""
    group, _, choice = missing.rpartition("/")
    for word in sys.argv[1:]:
        key, _, value = word.lstrip("+").partition("=")
        if key and value and "/" in value and group.startswith(f"{key}/"):
            group, choice = key, value  # a path: what lies between belongs to the choice
    own = (
        f"; a file of your own is DIR/{group}/NAME.yaml, chosen by --config-dir DIR {group}=NAME"
        if "/" in choice
        else ""
    )
    return f"{group}={choice} is not allowed: {group} is one of {', '.join(choices)}{nearest(choice, choices)}{own}"


def _typed(sign: str, key: str) -> str:
    """The word of the command line that begins with a sign and names a key."""
    words = [word for word in sys.argv[1:] if word.startswith(sign) and word.lstrip("+~").partition("=")[0] == key]
    return words[0] if words else sign + key
