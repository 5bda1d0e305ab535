"""Names that say what a thing is: those under which a library of a known version offers it."""

import re
import sys
from functools import lru_cache
from importlib import metadata
from typing import Any

CORE = {"jax", "jaxlib", "numpy", "ml_dtypes", "equinox", "optax", "diffrax", "lineax"}
CORE |= {"optimistix", "jaxtyping", "beartype", "tqdm", "noetherax", *sys.stdlib_module_names}
"""Libraries however they were installed: Python's own, noetherax, and those it is built on."""

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"

TOKEN = re.compile(r"([\w.]+)==([^:\s]+):([^:\s]*):")
"""The start of a label: a library, its version, and what another version may have elsewhere."""


INSTALLED = re.compile(r"(site|dist)-packages")


def library(module: Any) -> str | None:
    """The library that a module belongs to, or `None` for the user's own code."""
    top = module.partition(".")[0] if isinstance(module, str) else ""
    return top if top and _is_library(top) else None


def label(module: str, name: str, code: str = "") -> str:
    """A name with the library that has it and its version, or a name of the user's in whichever module.
    `code` is a hash of instructions, which belong to a version of Python."""
    top, _, rest = module.partition(".")
    if library(module) is None:
        return f"code=={PYTHON}:{code}:{name}"
    if code:
        return f"{top}=={version(top)}/{PYTHON}:{rest}#{code}:{name}"
    return f"{top}=={version(top)}:{rest}:{name}"


def imported_name(thing: Any) -> str | None:
    """The label of what a library offers under a name of its own, or `None`."""
    module = getattr(thing, "__module__", None)
    name = getattr(thing, "__qualname__", None) or getattr(thing, "__name__", None)
    if not isinstance(name, str) or not isinstance(module, str) or library(module) is None:
        return None
    found: Any = sys.modules.get(module)
    for step in name.split("."):
        found = getattr(found, step, None)
    return label(module, name) if found is thing else None


def class_name(cls: type) -> str:
    """A library's class with its version, a user's by its name alone: scripts and notebooks that import
    each other give modules different names."""
    return imported_name(cls) or cls.__qualname__.rpartition(".")[2]


def equal_up_to_versions(was: str, now: str) -> bool:
    """Whether two texts are the same but for what may differ where a version differs."""
    if TOKEN.sub(r"\1:", was) != TOKEN.sub(r"\1:", now):
        return False
    pairs = zip(TOKEN.findall(was), TOKEN.findall(now), strict=True)
    return all(a == b or a[1] != b[1] for a, b in pairs)


@lru_cache
def version(top: str) -> str:
    """The version of a library."""
    if top in sys.stdlib_module_names:
        return PYTHON
    try:
        return metadata.version(top if top in CORE else _distributions()[top][0])
    except metadata.PackageNotFoundError:
        return str(getattr(sys.modules.get(top), "__version__", "unknown"))


@lru_cache
def _is_library(top: str) -> bool:
    """Whether a package has a version that tells its content: it comes from an index, and not from a
    folder or repository (PEP 610), which may change under one version."""
    if top in CORE:
        return True
    file = getattr(sys.modules.get(top), "__file__", None)
    if (file and not INSTALLED.search(file)) or top == "__main__":
        return False  # asking which packages there are takes a second
    names = _distributions().get(top, [])
    return bool(names) and not any(
        metadata.distribution(name).read_text("direct_url.json") for name in names
    )


@lru_cache
def _distributions() -> Any:
    return metadata.packages_distributions()
