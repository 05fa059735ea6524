"""Methods, networks and GANs by name: those shipped, and those that a notebook registers."""

import hashlib
import linecache
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from stylelab.errors import InputError, unknown
from stylelab.sources import read_source


class Registry:
    """Modules by name; iterating gives the names.

    Args:
        kind: what to call an entry in error messages, such as "method".
        package: the package of the shipped modules; each is imported when it is first used.
        names: the names of the shipped modules.
        needs: what every module must define.
    """

    def __init__(self, kind: str, package: str, names: Sequence[str], needs: Sequence[str]) -> None:
        self.kind, self.package, self.needs = kind, package, tuple(needs)
        self.shipped = tuple(names)
        self.own: dict[str, Any] = {}
        self.sources: dict[str, str] = {}
        """The source text of each registered module, so that another process can run it."""

    def __iter__(self) -> Iterator[str]:
        return iter((*self.shipped, *self.own))

    def __contains__(self, name: object) -> bool:
        return name in self.shipped or name in self.own

    def __len__(self) -> int:
        return len(self.shipped) + len(self.own)

    def __repr__(self) -> str:
        return repr(tuple(self))

    def check(self, name: str) -> str:
        """Return a known name; the ValueError for an unknown one lists them all."""
        if name not in self:
            raise ValueError(unknown(self.kind, name, self))
        return name

    def load(self, name: str) -> Any:
        """The module of that name; ValueError if there is none."""
        if name in self.own:
            return self.own[name]
        return import_module(f"{self.package}.{self.check(name)}")

    def register(self, name: str, module: Any) -> None:
        """Add a module under a name, which then works like the shipped ones.

        Args:
            name: letters, digits and underscores; an earlier registration of it is replaced.
            module: a module, or a class used as one, that defines what `needs` lists. Its source
                becomes part of the identity of its runs, and is sent to the workers of a sweep.

        Raises:
            InputError: the name is invalid or a shipped one, the module lacks something, or its
                source cannot be read.
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
        """SHA-256 of a registered module's source; None for a shipped one."""
        source = self.sources.get(name)
        return None if source is None else hashlib.sha256(source.encode()).hexdigest()

    def install(self, sources: Mapping[str, str]) -> None:
        """Register modules from source text, as a worker receives it from another process."""
        for name, source in sources.items():
            if self.sources.get(name) == source:
                continue
            module = ModuleType(f"stylelab_own_{name}")
            file = f"<{self.kind} {name}>"
            linecache.cache[file] = len(source), None, source.splitlines(True), file
            sys.modules[module.__name__] = module  # type hints are looked up there
            exec(
                compile(source, file, "exec"), module.__dict__
            )  # the sender's own process wrote it
            root = next((v for v in vars(module).values() if self._fits(v)), module)
            self.register(name, root)

    def _fits(self, value: object) -> bool:
        return isinstance(value, type) and all(hasattr(value, part) for part in self.needs)

    def load_file(self, path: Path) -> None:
        """Run a Python file that registers modules.

        A file that registers nothing is itself registered as a module, under the file's name.

        Raises:
            InputError: the file cannot be read, or running it fails.
        """
        before = [dict(registry.own) for registry in (METHODS, NETWORKS, GANS)]
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
            raise InputError(f"plugin '{path}' fails ({reason}); correct the file") from None
        if [registry.own for registry in (METHODS, NETWORKS, GANS)] == before:
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
        "wasserstein",  # style by means and covariances of features
        "matching",  # style by one of six distances between features
        "repair",  # a damaged part, painted like the rest
    ),
    needs=("Options", "layers", "loss_weights", "objective"),
)
NETWORKS = Registry(
    "network",
    "stylelab.networks",
    (
        "texture",  # textures of one painting from noise
        "johnson",  # photographs in the style of one painting
        "multistyle",  # several styles by their rows of normalisation
        "adain",  # any style, by means and deviations of features
        "wct",  # any style, by covariances of features, coarse to fine
        "sanet",  # any style, by attention to features that are alike
        "aams",  # any style, in strokes of several sizes
        "solver",  # any style, in a few learnt steps on the loss of an optimised picture
    ),
    needs=("Options", "RECIPE", "STYLES", "build", "layers", "loss_weights", "objective"),
)
GANS = Registry(
    "GAN",
    "stylelab.gans",
    (
        "gan",  # patches of paintings from noise
        "cyclegan",  # photographs to paintings and back, from unpaired pictures
        "dualgan",  # the same with U-Nets and Wasserstein critics
        "exposure",  # a photograph's darker and brighter exposures
        "colourise",  # colours of a grey photograph
        "faces",  # the child of two faces
    ),
    needs=("Options", "RECIPE", "STYLES", "DATA", "build", "loss_weights", "players"),
)


register = METHODS.register
load_method = METHODS.load
