"""The errors that end a command: mistakes of the user (exit status 2), and runs that fail (exit status 1)."""

import errno
import re
import sys
from typing import NoReturn


class UserError(Exception):
    """A mistake that the user can correct; the message is one line with the reason and what is allowed."""


class Unwritable(Exception):
    """A file of a run or sweep cannot be written, as on a full disk; what was written before is complete."""


def unwritable(error: OSError) -> Unwritable:
    """What a library says of a full disk, in our words. Raises any other error again."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        raise error
    return Unwritable(f"{error.filename or 'a file'} cannot be written: {error.strerror}")


class Diverged(ArithmeticError):
    """A loss is not finite any more; the message names the metric and the epoch."""


class TookTooLong(Exception):
    """A run took longer than its time_limit."""


class WorkerError(Exception):
    """A run failed in another process or thread; the message is its traceback."""


def stop(message: str, status: int = 2) -> NoReturn:
    """Print one line on stderr and end the process."""
    print("error: " + mask(" ".join(message.split())), file=sys.stderr, flush=True)
    raise SystemExit(status)


def mask(text: str) -> str:
    """A text without the passwords of the URLs in it, before an @ or in a query."""
    text = re.sub(r"(://[^:/@\s]*):\S*@", r"\1:***@", text)
    return re.sub(r"([?&]\w*passw\w*=)[^&\s'\"]*", r"\1***", text, flags=re.IGNORECASE)
