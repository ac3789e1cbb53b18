"""Checks, before a script starts its work, that its results can be written to their place."""

import os
from pathlib import Path

from neuronsweep.errors import UserError


def check_file(what: str, path: Path) -> None:
    """Raise UserError where a file cannot be written at this path; ``what`` names it as the user has."""
    if path.is_dir():
        raise UserError(f"{what} is not allowed: {path} is a directory, and a file is to be written")
    if path.exists() and not path.is_file():
        raise UserError(f"{what} is not allowed: {path} is not a regular file")
    check_directory(what, path.parent)


def check_directory(what: str, directory: Path) -> None:
    """Raise UserError where a directory neither is one that can be written into nor can be made."""
    there = directory.absolute()
    while not (there.exists() or there.is_symlink()):
        there = there.parent
    if not there.is_dir():
        raise UserError(f"{what} is not allowed: {there} is not a directory")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UserError(f"{what} is not allowed: {there} cannot be written into")


def check_page(what: str, page: Path) -> Path:
    """The directory beside a page for its pictures, which has its name without its ending.

    Raises UserError where either cannot be written.
    """
    if not page.suffix:
        raise UserError(f"{what} is not allowed: the page is a file such as {page.name or 'page'}.md, with its ending")
    check_file(what, page)
    pictures = page.with_suffix("")
    check_directory(what, pictures)
    return pictures
