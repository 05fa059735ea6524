"""What can be chosen by name: the shipped methods, and those that a notebook or a file adds."""

import hashlib
import linecache
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, cast

from stylelab.errors import InputError, unknown
from stylelab.sources import read_source


class Method(Protocol):
    """What a method's module defines; `stylelab.methods` says what each is for."""

    Options: type[Any]
    layers: Callable[[Any], tuple[str, ...]]
    loss_weights: Callable[[Any], dict[str, float]]
    objective: Callable[[Any, Any, Any], Any]


class Registry:
    """Modules by name; iterating gives the names.

    Args:
        kind: what a name stands for, in the words of error messages.
        package: the package of the shipped modules, each imported when it is first used.
        names: the names of the shipped modules.
        needs: what every module must define.
    """

    def __init__(self, kind: str, package: str, names: Sequence[str], needs: Sequence[str]) -> None:
        self.kind, self.package, self.needs = kind, package, tuple(needs)
        self.shipped = tuple(names)
        self.own: dict[str, Method] = {}
        self.sources: dict[str, str] = {}
        """The Python text of each registered module, which can be run elsewhere."""

    def __iter__(self) -> Iterator[str]:
        return iter((*self.shipped, *self.own))

    def __contains__(self, name: object) -> bool:
        return name in self.shipped or name in self.own

    def __len__(self) -> int:
        return len(self.shipped) + len(self.own)

    def __repr__(self) -> str:
        return repr(tuple(self))

    def check(self, name: str) -> str:
        """Pass a known name on; ValueError names the others."""
        if name not in self:
            raise ValueError(unknown(self.kind, name, self))
        return name

    def load(self, name: str) -> Method:
        """The module of that name."""
        if name in self.own:
            return self.own[name]
        return cast(Method, import_module(f"{self.package}.{self.check(name)}"))

    def register(self, name: str, module: Any) -> None:
        """Add a module under a name, which then works like the shipped ones.

        Args:
            name: letters, digits and underscores; a name registered before is replaced.
            module: a module, or a class used as one, that defines what `needs` lists. Its source
                becomes part of the identity of its runs, and is sent to the workers of a sweep.

        Raises:
            InputError: a shipped name, something missing, or a source that cannot be read.
        """
        if not re.fullmatch(r"[a-zA-Z]\w*", str(name)):
            raise InputError(f"a {self.kind} cannot be called {name!r}; use letters, digits and _")
        if name in self.shipped:
            raise InputError(f"the {self.kind} '{name}' comes with the kit; choose another name")
        if missing := [part for part in self.needs if not hasattr(module, part)]:
            needed = ", ".join(self.needs)
            raise InputError(f"{self.kind} '{name}' lacks {missing[0]}; it must define {needed}")
        try:
            source = read_source(module, self.needs)
        except InputError as error:
            raise InputError(f"{self.kind} '{name}': {error}") from None
        self.own[name], self.sources[name] = module, source

    def source_hash(self, name: str) -> str | None:
        """SHA-256 of a registered module's source; None for the shipped ones."""
        source = self.sources.get(name)
        return None if source is None else hashlib.sha256(source.encode()).hexdigest()

    def install(self, sources: Mapping[str, str]) -> None:
        """Register modules from their sources, as a worker gets them from another process."""
        for name, source in sources.items():
            if self.sources.get(name) == source:
                continue
            module = ModuleType(f"stylelab_own_{name}")
            file = f"<{self.kind} {name}>"
            linecache.cache[file] = len(source), None, source.splitlines(True), file
            sys.modules[module.__name__] = module  # which type hints are looked up in
            exec(
                compile(source, file, "exec"), module.__dict__
            )  # the sender's own process wrote it
            root = next((v for v in vars(module).values() if self._fits(v)), module)
            self.register(name, root)

    def _fits(self, value: object) -> bool:
        return isinstance(value, type) and all(hasattr(value, part) for part in self.needs)

    def load_file(self, path: Path) -> None:
        """Run a Python file that registers modules, or is one itself, called like the file.

        Raises:
            InputError: the file cannot be read or fails.
        """
        before = dict(self.own)
        try:
            text = path.read_text("utf-8")
            module = ModuleType(path.stem)
            module.__file__ = str(path)
            sys.modules.setdefault(module.__name__, module)
            exec(compile(text, str(path), "exec"), module.__dict__)
        except OSError as error:
            raise InputError(f"plugin '{path}': {error.strerror}; name a Python file") from None
        except InputError:
            raise
        except Exception as error:
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            raise InputError(f"plugin '{path}' fails ({reason}); mend it") from None
        if self.own == before:
            self.register(path.stem, module)


METHODS = Registry(
    "method",
    "stylelab.methods",
    (
        "gatys",  # Gram matrices with total variation, as in the paper
        "gatys2016",  # Gram matrices as first published
        "cnnmrf",  # patches of the painting
        "photo",  # colours of another photo, by region, with all edges kept
        "inversion",  # feature transforms: AdaIN, WCT, SANet, AAMS
        "repair",  # a damaged part, painted like the rest
    ),
    needs=("Options", "layers", "loss_weights", "objective"),
)
register = METHODS.register
load_method = METHODS.load
