"""How far a run, a sweep or a search is, while it is trained by whatever and wherever; nothing is changed.

python scripts/status.py DIR [--watch]
"""

import neuronsweep.starting  # noqa: F401

# isort: split

import time
from pathlib import Path

from rich.live import Live
from rich.text import Text

from neuronsweep import console
from neuronsweep.cli import Parser, command
from neuronsweep.config.targets import TRUSTED, trust
from neuronsweep.runs.watcher import Watcher

# To look takes a tenth of the time at most.
SECONDS_BETWEEN_LOOKS = 1.0


def main() -> None:
    parser = Parser(description="Say how far a run or sweep is: state, speed, time left, best so far, failures.")
    parser.add_argument("directory", type=Path, metavar="DIR")
    parser.add_argument("--watch", action="store_true", help="until it has ended; in a terminal the picture is live")
    parser.add_argument("--trust", action="store_true", help=TRUSTED)
    arguments = parser.parse_args()
    if arguments.trust:
        trust()
    watcher = Watcher(arguments.directory)
    if arguments.watch:
        watch(watcher)
    for line in watcher.look().lines():
        console.say(line)


def watch(watcher: Watcher) -> None:
    """Show how far it is until nobody trains it any more."""
    with Live(console=console.CONSOLE, auto_refresh=False, transient=True) as live:
        while True:
            begun = time.monotonic()
            found = watcher.look()
            if not found.owner:
                return
            if console.CONSOLE.is_terminal:
                live.update(Text("\n".join(found.lines())), refresh=True)
            else:
                console.now_and_then(found.line)
            time.sleep(max(SECONDS_BETWEEN_LOOKS, 10 * (time.monotonic() - begun)))


if __name__ == "__main__":
    with command():
        main()
