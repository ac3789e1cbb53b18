"""Checks the shapes that the names of arguments state, while tests run: x_ND has two axes, and y_N as many rows."""

import functools
import re
from collections.abc import Callable
from importlib.abc import MetaPathFinder
from importlib.machinery import PathFinder, SourceFileLoader
from types import FunctionType, ModuleType
from typing import Any

SHAPE = re.compile(r"_([A-Z][A-Z0-9]*)$")


def checked(function: FunctionType) -> Callable:
    """The function, raising TypeError where the shapes of arguments are not those that their names state.

    A letter is a size, the same one in all arguments of a call; a digit is itself.
    """
    code = function.__code__
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    stated = {name: found[1] for name in names if (found := SHAPE.search(name))}

    @functools.wraps(function)
    def call(*args: Any, **keys: Any) -> Any:
        sizes: dict[str, int] = {}
        for name, value in (*zip(names, args, strict=False), *keys.items()):
            if name in stated and hasattr(value, "shape"):
                shape, letters = tuple(value.shape), stated[name]
                wanted = [int(one) if one.isdigit() else sizes.get(one) for one in letters]
                if len(shape) != len(letters) or any(w not in (None, n) for w, n in zip(wanted, shape, strict=True)):
                    raise TypeError(f"{function.__qualname__}: {name} has the shape {shape}, others have {sizes}")
                sizes |= dict(zip(letters, shape, strict=True))
        return function(*args, **keys)

    return call if stated else function


class Loader(SourceFileLoader):
    """Replaces the functions and methods of a module by those that check."""

    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        for holder in (module, *(one for one in vars(module).values() if isinstance(one, type))):
            for name, value in list(vars(holder).items()):
                if isinstance(value, FunctionType) and value.__module__ == module.__name__:
                    setattr(holder, name, checked(value))


class Finder(MetaPathFinder):
    """To be put on sys.meta_path: finds the modules of some rooms of the package, with the check."""

    def __init__(self, *rooms: str):
        self.rooms = tuple(f"neuronsweep.{room}." for room in rooms)

    def find_spec(self, name, path, target=None):
        spec = PathFinder.find_spec(name, path) if name.startswith(self.rooms) else None
        if spec and isinstance(spec.loader, SourceFileLoader):
            spec.loader = Loader(spec.loader.name, spec.loader.path)
        return spec
