"""Names that are imported when they are first used.

Rule of this file: `deferred` is the one way in which a lower room reaches a higher one, or any room
a module that few programs need; `lazy_module` is the one way in which a package offers names
without importing their modules. Neither cures an import cycle: those are cut by moving code.
"""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def deferred(target: str) -> Callable[..., Any]:
    """Return a function that imports ``"package.module:attribute"`` on its first call and calls it.

    It is a plain function, so in a class body it is a method and passes ``self`` on. A failing
    import is raised by the call and tried again by the next one. Raises ``ValueError`` at once when
    ``target`` has another form.
    """
    module, colon, attribute = target.partition(":")
    if not (module and colon and attribute.isidentifier()):
        raise ValueError(f"expected 'package.module:attribute', got {target!r}")

    @functools.cache
    def load() -> Callable[..., Any]:
        loaded: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
        return loaded

    def call(*args: Any, **kwargs: Any) -> Any:
        return load()(*args, **kwargs)

    call.__name__ = call.__qualname__ = attribute
    call.__doc__ = f"Call ``{target}``, which is imported by the first call."
    return call


def lazy_module(
    package: str, names: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return ``__getattr__`` and ``__dir__`` for a package whose ``names`` live in other modules.

    ``names`` maps each public name to the module that defines it. A name is stored in the package
    when it is first read, so that later reads cost nothing extra.
    """
    namespace = vars(sys.modules[package])

    def get_attribute(name: str) -> Any:
        module = names.get(name)
        if module is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = namespace[name] = getattr(importlib.import_module(module), name)
        return value

    def directory() -> list[str]:
        return sorted({*namespace, *names})

    return get_attribute, directory
