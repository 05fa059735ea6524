"""The source of what a notebook cell or a file defines, cut down to the statements it needs."""

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
    """Python text that defines a module, or a class used as one, when it is run elsewhere.

    From the cell or file come only the statements that the names in ``needs`` (or the class)
    depend on; imports that another cell made are added. So other code in the cell is not run
    again, and a change of it changes nothing.

    Raises:
        InputError: there is no source, or it uses a value that another cell made.
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
    """Each statement of a source: its text, the names that it binds, and those that it uses."""
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
    """The import that gives a name its value, where there is one."""
    if isinstance(value, ModuleType):
        return f"import {value.__name__} as {name}\n"
    home, own = getattr(value, "__module__", None), getattr(value, "__name__", name)
    if home != "__main__" and getattr(sys.modules.get(str(home)), own, None) is value:
        return f"from {home} import {own} as {name}\n"
    raise InputError(f"it uses {name!r}, which another cell made; put it into the same cell")
