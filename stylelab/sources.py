"""The source of a class or module from a notebook cell or file, with only what it depends on."""

import ast
import builtins
import inspect
import linecache
import symtable
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from stylelab.errors import InputError


def read_source(module: Any, needs: Sequence[str]) -> str:
    """Source text that defines a module, or a class used as one, when another process runs it.

    It holds only the statements of the cell or file that the names in ``needs`` (or the class)
    depend on, plus the imports that they need from other cells. So unrelated code in the cell is
    not run again, and changing it does not change the source.

    Raises:
        InputError: the source cannot be read, or it uses a value that another cell defines.
    """
    parts = [getattr(module, name) for name in needs]
    function = next((inspect.unwrap(f) for f in parts if inspect.isfunction(f)), None)
    lines = [] if function is None else linecache.getlines(function.__code__.co_filename)
    if function is None or not lines:
        raise InputError("its source cannot be read; define it in a notebook cell or a file")
    wanted = {module.__name__} if isinstance(module, type) else set(needs)
    statements = _statements(lines)
    kept: set[int] = set()
    while more := {i for i, (_, binds, _) in enumerate(statements) if binds & wanted} - kept:
        kept |= more
        wanted |= {name for i in more for name in statements[i][2]}
    bound = {name for i in kept for name in statements[i][1]}
    futures = [text for text, _, _ in statements if text.startswith("from __future__")]
    imports = [
        _import(name, function.__globals__[name])
        for name in sorted(wanted - bound)
        if name in function.__globals__ and not hasattr(builtins, name)
    ]
    return "".join([*futures, *imports, *(statements[i][0] for i in sorted(kept))])


def _statements(lines: list[str]) -> list[tuple[str, set[str], set[str]]]:
    """Each top-level statement: its text, the names it binds, and the names it uses."""
    found = []
    for node in ast.parse("".join(lines)).body:
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
        text = "".join(lines[first - 1 : node.end_lineno]).rstrip("\n") + "\n"
        top = symtable.symtable(text, "", "exec")
        binds = {
            s.get_name()
            for s in top.get_symbols()
            if s.is_assigned() or s.is_imported() or s.is_namespace()
        }
        uses = {s.get_name() for s in top.get_symbols() if s.is_referenced()}
        inner = list(top.get_children())
        while inner:
            table = inner.pop()
            inner += table.get_children()
            uses |= {s.get_name() for s in table.get_symbols() if s.is_global()}
        found.append((text, binds, uses))
    return found


def _import(name: str, value: object) -> str:
    """An import statement that gives a name its value; InputError if no import does."""
    if isinstance(value, ModuleType):
        return f"import {value.__name__} as {name}\n"
    home, own = getattr(value, "__module__", None), getattr(value, "__name__", name)
    if home != "__main__" and getattr(sys.modules.get(str(home)), own, None) is value:
        return f"from {home} import {own} as {name}\n"
    raise InputError(f"it uses {name!r}, which another cell defines; put it into the same cell")
