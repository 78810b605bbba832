"""Which code a method is: the hash of its source, module by module, and the distribution that it came with.

A run and a fit note it beside what they made. It is no part of a spec, so it names nothing; but where the code changed,
what stands on the disk is not taken for what the code of today would give.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import Distribution, distribution, entry_points, packages_distributions
from importlib.resources import files
from importlib.util import find_spec
from inspect import getattr_static
from types import FunctionType
from typing import TYPE_CHECKING, Any

from rpobench.method.syntax import describe_bytecode, hash_bytecode, hash_syntax, list_imports
from rpobench.store.identity import SHA256, digest

if TYPE_CHECKING:
    from rpobench.method.contract import Method

VOUCHED_FILE = "vouched_code.json"  # {method: {version: hashes of sources that predict alike}}, for built-in methods
BUILT_IN = ("rpobench.baselines", "rpobench.rpo")  # where the code of built-in methods lies
KEY_DIGITS = 12


@dataclass(frozen=True)
class MethodCode:
    """The code of a method.

    Attributes:
        method: The method's name.
        method_version: Its version.
        sha256: The hash over all modules, 64 hex digits.
        distribution: What was installed to have it; None where no distribution says that it holds the method.
        version: The version of the distribution.
        modules: The hash of each module that counts, by its full name.
    """

    method: str
    method_version: str
    sha256: str
    distribution: str | None
    version: str | None
    modules: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """Return what stands as `code` in `environment.json`."""
        content = asdict(self)
        return {name: content[name] for name in ("sha256", "distribution", "version", "modules")}

    @property
    def key(self) -> str:
        """12 hex digits that are the same for code that is vouched to predict alike."""
        return key_of_code(self.method, self.method_version, self.sha256)

    def predicts_as(self, sha256: str) -> bool:
        """Say whether this code gives what code with another hash gave, as far as the hashes tell.

        Args:
            sha256: The hash of the code that made something under the same name and version of the method.

        Returns:
            True where the hashes are equal, or where this project vouches for both.
        """
        vouched = _vouched_hashes(self.method, self.method_version)
        return sha256 == self.sha256 or (sha256 in vouched and self.sha256 in vouched)

    def find_changed_file(self, modules: Mapping[str, str]) -> str:
        """Find a file that is not what it was.

        Args:
            modules: The hash of each module of then, by its full name.

        Returns:
            The path of the first module that differs; its name where it has no file, or is gone.
        """
        names = sorted(modules.keys() | self.modules.keys())
        changed = [name for name in names if modules.get(name) != self.modules.get(name)]
        if not changed:
            return self.method

        spec = _find_module(changed[0]) if changed[0] in self.modules else None
        return spec.origin if spec and spec.origin else changed[0]


@cache
def identify_code(method_class: type[Method]) -> MethodCode:
    """Identify the code of a method.

    It is the module that defines the class, and what that module imports of its own package, and so on: for a plugin
    the packages of its distribution, for a built-in method those in which methods are written. It is read once for a
    class, when the class is new, since what is loaded does not change with the file.

    Args:
        method_class: The class.

    Returns:
        Its code. Where a module has no source, its compiled code is hashed; without that, the code of the class.
    """
    home = _find_distribution(method_class)
    own_packages = _list_own_packages(method_class, home)

    pending = [base.__module__ for base in method_class.__mro__ if _is_own(base.__module__, own_packages)]
    modules: dict[str, str] = {}
    while pending:
        name = pending.pop()
        if name in modules:
            continue
        modules[name], imported = _read_module(name, own_packages)
        pending += imported

    if not modules.get(method_class.__module__):
        modules[method_class.__module__] = digest(_describe_class(method_class), SHA256)
    modules = {name: modules[name] for name in sorted(modules) if modules[name]}

    return MethodCode(
        method=method_class.name,
        method_version=method_class.version,
        sha256=digest(modules, SHA256),
        distribution=home.name if home else None,
        version=home.version if home else None,
        modules=modules,
    )


def _read_module(name: str, own_packages: Sequence[str]) -> tuple[str, list[str]]:
    """The hash of a module, empty where nothing of it can be read, and the modules of its own package it imports."""
    spec = _find_module(name)
    source = _load(spec, "get_source")
    if source is None:
        code = _load(spec, "get_code")
        return (hash_bytecode(code) if code else ""), []

    try:
        is_package = spec is not None and spec.submodule_search_locations is not None
        imports = list_imports(source, name, is_package=is_package)
        sha256 = hash_syntax(source)
    except SyntaxError:  # what is loaded was another text: a file that was edited since
        return digest(source, SHA256), []

    imported = []
    for origin, member in imports:
        submodule = f"{origin}.{member}"
        is_submodule = member not in (None, "*") and _is_own(submodule, own_packages) and _find_module(submodule)
        imported.append(submodule if is_submodule else origin)
    return sha256, [module for module in imported if _is_own(module, own_packages) and _find_module(module)]


def _load(spec: ModuleSpec | None, what: str) -> Any:
    """The source or the code of a module, by its loader; None where the loader has none."""
    read = getattr(spec.loader, what, None) if spec else None
    try:
        return read(spec.name) if read and spec else None
    except (ImportError, OSError, UnicodeDecodeError):
        return None


def _find_module(name: str) -> ModuleSpec | None:
    """Where a module is. Neither it nor a package around it is run."""
    loaded = sys.modules.get(name)
    if loaded is not None and loaded.__spec__ is not None:
        return loaded.__spec__

    package = name.rpartition(".")[0]
    if not package:
        return find_spec(name)
    parent = _find_module(package)
    if parent is None or parent.submodule_search_locations is None:
        return None
    return PathFinder.find_spec(name, list(parent.submodule_search_locations))


def _find_distribution(method_class: type[Method]) -> Distribution | None:
    """The distribution that declares the method, else the one that holds its module; None where there is none."""
    module = method_class.__module__
    top = module.partition(".")[0]

    for point in entry_points(group="rpobench.methods"):
        if point.name == method_class.name and point.module.partition(".")[0] == top and point.dist:
            return point.dist

    names = packages_distributions().get(top, [])
    return distribution(names[0]) if names else None


def _list_own_packages(method_class: type[Method], home: Distribution | None) -> tuple[str, ...]:
    """The packages and modules whose code is the method's own."""
    top = method_class.__module__.partition(".")[0]
    if top == __name__.partition(".")[0]:
        return (*BUILT_IN, method_class.__module__)

    beside = [name for name, homes in packages_distributions().items() if home and home.name in homes]
    return (top, *beside)


def _is_own(module: str, own_packages: Sequence[str]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in own_packages)


def _describe_class(method_class: type) -> list[Any]:
    """All that a class itself defines: the code of its functions, and its plain values."""
    parts: list[Any] = []
    for name in sorted(vars(method_class)):
        member = getattr_static(method_class, name)
        for function in (member, *(getattr(member, slot, None) for slot in ("__func__", "fget", "fset", "func"))):
            if isinstance(function, FunctionType):
                parts.append([name, describe_bytecode(function.__code__), repr(function.__defaults__)])

        if isinstance(member, type) and member.__module__ == method_class.__module__:
            parts.append([name, _describe_class(member)])
        elif isinstance(member, str | int | float | tuple) and name not in ("__module__", "__doc__", "__qualname__"):
            parts.append([name, repr(member)])
    return parts


def key_of_code(method: str, version: str, sha256: str) -> str:
    """Compute the `key` of code that was noted.

    Args:
        method: The method's name.
        version: The method's version.
        sha256: The hash of the code.

    Returns:
        12 hex digits that are the same for code that is vouched to predict alike.
    """
    vouched = _vouched_hashes(method, version)
    return (vouched[0] if sha256 in vouched else sha256)[:KEY_DIGITS]


@cache
def _vouched_hashes(method: str, version: str) -> tuple[str, ...]:
    """The hashes of all sources that this version of a built-in method had: they predict alike."""
    text = (files("rpobench.method") / VOUCHED_FILE).read_text(encoding="utf-8")
    vouched: Mapping[str, Mapping[str, Sequence[str]]] = json.loads(text)
    return tuple(vouched.get(method, {}).get(version, ()))
