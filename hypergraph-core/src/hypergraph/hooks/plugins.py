"""Turning what is installed or registered into plugins.

Rule of this file: whatever a plugin does wrong while it is loaded is its own error, which is kept; only
Ctrl-C leaves. pluggy finds the hooks of a plugin and holds them to their specifications. Each plugin has
a manager of its own, so that the error of one never keeps another from being called.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from types import ModuleType
from typing import Any

from pluggy import HookCaller, HookimplOpts, PluginManager, PluginValidationError

from hypergraph.configfile import PluginRules, read_config
from hypergraph.discovery import Offer, normalized, offers
from hypergraph.errors import PluginError, did_you_mean
from hypergraph.hooks import specs
from hypergraph.hooks.state import (
    GROUP,
    IN_PROCESS,
    PREFIX,
    VARIABLE,
    Hook,
    Plugin,
    PluginInfo,
    PluginState,
)

HOOKS = tuple(sorted(name for name in vars(specs) if name.startswith(PREFIX)))
"""The names of all hooks."""

_UNMARKED: HookimplOpts = {
    "wrapper": False,
    "hookwrapper": False,
    "optionalhook": False,
    "tryfirst": False,
    "trylast": False,
    "specname": None,
}
_kept: dict[tuple[str, str, str, str], Plugin] = {}  # those that are loaded, for a second reading


def read_installed(off: Collection[str] | None) -> tuple[Plugin, ...]:
    """Read every installed plugin, by name and then by distribution.

    ``off``: the names of those that are switched off, or ``None`` for all. Two distributions may use one
    name: both are loaded. Raises `ConfigError`.
    """
    rules = PluginRules() if off is None else read_config().plugins
    return tuple(
        _installed(offer, _switched_off(name, off, rules))
        for name, found in sorted(offers(GROUP).items())
        for offer in found
    )


def unknown_names(off: Collection[str]) -> tuple[str, ...]:
    """Return what to warn of: names that are switched off or allowed, and that no plugin has."""
    rules = read_config().plugins
    named = {VARIABLE: sorted(off), "[plugins] allow": rules.allow, "[plugins] deny": rules.deny}
    known = {normalized(name): name for name in sorted(offers(GROUP))}
    return tuple(
        f"{source} names {name!r}, and no plugin of that name is installed."
        + did_you_mean(normalized(name), known)
        for source, names in named.items()
        for name in names or ()
        if normalized(name) not in known
    )


def plugin_of(given: Any, name: str | None) -> Plugin:
    """Return the plugin that was registered in this process. Raises `PluginError`."""
    if isinstance(given, ModuleType):
        target = default = given.__name__
    else:
        kind = given if isinstance(given, type) else type(given)
        target, default = f"{kind.__module__}:{kind.__qualname__}", kind.__name__
    info = PluginInfo(
        name=default if name is None else name,
        distribution=IN_PROCESS,
        version=None,
        target=target,
        state=PluginState.ACTIVE,
    )
    return _made(info, given)


def _switched_off(name: str, off: Collection[str] | None, rules: PluginRules) -> str:
    """Return what has switched a plugin off, or an empty text."""
    if off is None or _among(name, off):
        return VARIABLE
    if _among(name, rules.deny):
        return "[plugins] deny"
    return "" if rules.allow is None or _among(name, rules.allow) else "[plugins] allow"


def _among(name: str, names: Collection[str]) -> bool:
    """Say whether a name is among others, however they are spelled: a slip must not load a plugin."""
    return normalized(name) in map(normalized, names)


def _installed(offer: Offer, reason: str) -> Plugin:
    point = offer.entry_point
    info = PluginInfo(
        name=point.name,
        distribution=offer.distribution,
        version=offer.version,
        target=point.value,
        state=PluginState.DISABLED if reason else PluginState.ACTIVE,
        reason=reason,
    )
    if reason:
        return Plugin(info)
    key = (info.name, info.distribution, offer.version, info.target)
    if key not in _kept:
        try:
            _kept[key] = _made(info, point.load())
        except PluginError as error:
            return _broken(info, error)
        except (Exception, SystemExit) as cause:
            failure = PluginError(
                f"The plugin {info.name!r} of {offer.source} fails to import: "
                f"{type(cause).__name__}: {cause}.",
                where=info.target,
                fix=f"correct the cause, uninstall it, or set {VARIABLE}={info.name}",
                name=info.name,
            )
            failure.__cause__ = cause
            return _broken(info, failure)
    return _kept[key]


def _broken(info: PluginInfo, error: PluginError) -> Plugin:
    return Plugin(replace(info, state=PluginState.BROKEN, error=error))


def _made(info: PluginInfo, given: Any) -> Plugin:
    """Return the plugin with its hooks. Raises `PluginError`, and whatever its class raises."""
    plugin = given() if isinstance(given, type) else given
    manager = _Manager(info)
    manager.add_hookspecs(specs)
    try:
        manager.register(plugin, info.name)
    except PluginValidationError as error:
        raise _wrong(info, " ".join(str(error).split()), "correct its arguments") from error
    hooks = tuple(manager.found())
    if not hooks:
        raise _wrong(
            info,
            f"it is {_kind(given)} without a function that is named as a hook.",
            f"name a module, class or instance that has one of {', '.join(HOOKS)}",
        )
    return Plugin(replace(info, hooks=tuple(hook.name for hook in hooks)), given, hooks)


class _Manager(PluginManager):
    """Manages one plugin; every function of its that is named as a hook is one, marked or not."""

    def __init__(self, info: PluginInfo) -> None:
        super().__init__(specs.PROJECT)
        self.info = info

    def parse_hookimpl_opts(self, plugin: object, name: str) -> HookimplOpts | None:
        """Return how a function is to be hooked. Properties of a plugin are not evaluated."""
        found = inspect.getattr_static(plugin, name, None)
        function = getattr(found, "__func__", found)  # of a method, static or not
        if not inspect.isfunction(function):
            if name in HOOKS:
                raise self._no_function(name)
            return None
        marked: HookimplOpts | None = getattr(function, f"{specs.PROJECT}_impl", None)
        if marked is None and not name.startswith(PREFIX):
            return None
        options = _UNMARKED.copy()
        if marked is not None:
            options.update(marked)
        hook = options["specname"] or name
        if hook not in HOOKS:
            if options["optionalhook"]:
                return None
            hint = did_you_mean(hook, HOOKS)
            raise _wrong(
                self.info, f"{hook} is no hook.{hint}", f"the hooks are: {', '.join(HOOKS)}"
            )
        if options["wrapper"] or options["hookwrapper"] or _deferred(function):
            raise self._no_function(hook)
        return options

    def _no_function(self, hook: str) -> PluginError:
        fix = "write it with def, without async, yield and wrapper=True"
        return _wrong(self.info, f"{hook} is no plain function.", fix)

    def found(self) -> Iterator[Hook]:
        """Yield the hooks of the plugin, by name."""
        for name in HOOKS:
            caller: HookCaller = getattr(self.hook, name)
            impls = caller.get_hookimpls()
            if len(impls) > 1:
                raise _wrong(self.info, f"it has {name} twice.", "remove one of them")
            for one in impls:
                rank = one.trylast - one.tryfirst
                yield Hook(self.info.name, name, _first(caller), rank)


def _first(caller: HookCaller) -> Callable[..., Any]:
    """Return a function that calls the one hook of a manager and returns its result."""

    def call(**arguments: Any) -> Any:
        results = caller(**arguments)
        return results[0] if results else None

    return call


def _deferred(function: Callable[..., Any]) -> bool:
    """Say whether calling a function does not yet run it."""
    return inspect.iscoroutinefunction(function) or (
        inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)
    )


def _wrong(info: PluginInfo, problem: str, fix: str) -> PluginError:
    source = f"{info.distribution} {info.version or ''}".strip()
    return PluginError(
        f"The plugin {info.name!r} cannot be used: {problem}",
        where=f"{source}, {info.target}",
        fix=fix,
        name=info.name,
    )


def _kind(given: Any) -> str:
    if isinstance(given, type):
        return "a class"
    return "a module" if isinstance(given, ModuleType) else f"an instance of {type(given).__name__}"
