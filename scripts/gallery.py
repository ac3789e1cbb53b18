"""Train the sweeps of docs/gallery.md and write the page and its pictures.

python scripts/gallery.py
python scripts/gallery.py --only sine optimum --output outputs/gallery.md
"""

import neuronsweep.starting  # noqa: F401

# isort: split

import shlex
import textwrap
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from neuronsweep import console
from neuronsweep.cli import Parser, command
from neuronsweep.config.check import nearest
from neuronsweep.config.output_paths import check_page
from neuronsweep.errors import UserError
from neuronsweep.runs import files
from neuronsweep.studies import sweep_command

if TYPE_CHECKING:
    from neuronsweep.studies.gallery.entry import Entry

ROOT = Path(__file__).resolve().parents[1]

HEAD = """# Gallery: what small networks learn

Written by `python scripts/gallery.py`, which trains every sweep below; the numbers in the answers are computed from
the runs. Thick lines are medians over the seeds, pale areas reach from the least to the greatest. The data are a noisy
sine unless the command says otherwise.
"""


def main() -> None:
    parser = Parser(description="Train the sweeps of the gallery and write its page.")
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", help="only these entries; without --output they get a page of their own"
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="the page; default docs/gallery.md")
    arguments = parser.parse_args()
    directory = Path("outputs/gallery") / datetime.now().strftime("%Y-%m-%d/%H-%M-%S-%f")
    page = arguments.output or (directory / "gallery.md" if arguments.only else ROOT / "docs" / "gallery.md")
    pictures = check_page(f"--output {page}", page)

    from neuronsweep.studies.gallery.fits import FITS  # late: --help needs no torch
    from neuronsweep.studies.gallery.training import TRAINING

    entries = chosen([*FITS, *TRAINING], arguments.only)
    pictures.mkdir(parents=True, exist_ok=True)
    sections = [HEAD]
    for entry in entries:
        picture, words = answered(entry, directory)
        files.write(pictures / f"{entry.name}.png", picture)
        commands = "\n".join(f"python train.py -m {shlex.join(sweep)}" for sweep in entry.sweeps)
        sections.append(
            f"## {entry.question}\n\n```\n{commands}\n```\n\n"
            f"![{entry.question}]({pictures.name}/{entry.name}.png)\n\n{textwrap.fill(words, 120)}\n"
        )
    files.write(page, "\n".join(sections))
    console.say(f"page: {console.directory_name(page)}")


def chosen(entries: "Sequence[Entry]", names: Sequence[str] | None) -> "list[Entry]":
    """The entries of these names, or all. Raises UserError for a name that none has."""
    known = [entry.name for entry in entries]
    for name in names or ():
        if name not in known:
            raise UserError(f"--only {name} is not allowed: it is one of {', '.join(known)}{nearest(name, known)}")
    return [entry for entry in entries if not names or entry.name in names]


def answered(entry: "Entry", directory: Path) -> tuple[bytes, str]:
    """Train an entry's sweeps and answer its question."""
    from neuronsweep.studies.runs import read

    runs = []
    for i, words in enumerate(entry.sweeps):
        sweep = directory / f"{entry.name}-{i}"
        sweep_command.run(ROOT, sweep, words)
        runs.append(read(sweep))
    return entry.answer(runs)


if __name__ == "__main__":
    with command():
        main()
