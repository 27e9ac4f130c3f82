"""Registration: how a runner is found by its name, and made from a configuration."""

from __future__ import annotations

import dataclasses
import re

from hypergraph import runners
from hypergraph.discovery import Offer, offers
from hypergraph.hooks import IN_PROCESS
from hypergraph.runners.base import BaseRunner
from hypergraph.runners.registry import GROUP, KNOWN
from hypergraph.testing.kit import fail, skip
from hypergraph.testing.suite.base import RunnerRules

A_NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")


class RegistrationRules(RunnerRules):
    """The entry point, for a runner that is asked for by its name; and its settings, for every runner.

    Set ``registered`` to the name under which it is installed, or give ``name=`` to the validation.
    """

    group = "registration"

    def name_of(self, runner: BaseRunner) -> str:
        """Return the name of the entry point; skip if none was given."""
        if self.registered is None:
            skip(
                "no name of an entry point was given: validate_runner(..., name=), or registered = ''"
            )
        return self.registered

    def offers_of(self, runner: BaseRunner) -> tuple[Offer, ...]:
        """Return the entry points of the name; skip if it is registered in this process only."""
        name = self.name_of(runner)
        if runners.available().get(name) == IN_PROCESS:
            skip(f"{name!r} is registered in this process, and not by a distribution")
        return offers(GROUP).get(name, ())

    def test_the_name_leads_to_the_class(self, runner: BaseRunner) -> None:
        found = runners.get(self.name_of(runner))
        assert isinstance(runner, found), (
            f"the entry point leads to {found.__module__}:{found.__qualname__}, which this runner is not"
        )

    def test_one_distribution_offers_the_name(self, runner: BaseRunner) -> None:
        found = self.offers_of(runner)
        sources = ", ".join(offer.source for offer in found) or "nobody"
        assert len(found) == 1, (
            f"the name is offered by {sources}: declare it once, in [project.entry-points.{GROUP!r}], "
            "and uninstall what else offers it"
        )

    def test_the_name_is_a_short_word(self, runner: BaseRunner) -> None:
        name = self.name_of(runner)
        assert A_NAME.fullmatch(name), (
            "use lower case letters and digits, with - or _ between them: users write it in files"
        )

    def test_the_names_of_hypergraphs_own_runners_are_left_to_them(
        self, runner: BaseRunner
    ) -> None:
        own = KNOWN.get(self.name_of(runner))
        for offer in self.offers_of(runner):
            assert own in (None, offer.distribution), (
                f"this name is reserved for {own}: choose another"
            )

    def test_the_runner_calls_itself_something(self, runner: BaseRunner) -> None:
        name = type(runner).name
        assert isinstance(name, str), "name is a class attribute, a str"
        assert name.strip(), "name is a class attribute, and not empty"

    # -- making --------------------------------------------------------------------------------

    def test_it_can_be_made_twice(self, runner: BaseRunner) -> None:
        if self.make is None:
            skip("what makes the runner is not known here: validate_runner() knows it")
        other = self.make()
        assert type(other) is type(runner), "what makes the runner makes the same kind each time"
        assert other is not runner, "what makes the runner makes a new one each time"

    def test_its_settings_are_a_frozen_dataclass_that_is_documented(
        self, runner: BaseRunner
    ) -> None:
        kind = type(runner).settings_class
        if kind is None:
            skip(f"{type(runner).__name__} has no settings: settings_class is None")
        assert dataclasses.is_dataclass(kind), "settings_class must be a dataclass"
        assert kind.__dict__["__dataclass_params__"].frozen, (
            "settings_class must be frozen: @dataclass(frozen=True)"
        )
        silent = [
            field.name for field in dataclasses.fields(kind) if not field.metadata.get("help")
        ]
        assert silent == [], (
            'say what these settings mean: name: str = setting("x", help="what it is for")'
        )

    def test_it_is_made_where_no_setting_is_given(self, runner: BaseRunner) -> None:
        cls = type(runner)
        kind = cls.settings_class
        if kind is None:
            if self.registered is None:
                skip(
                    f"{cls.__name__} has no settings, and no name by which a configuration makes it"
                )
            made = cls()
        else:
            needed = [field.name for field in dataclasses.fields(kind) if _must_be_given(field)]
            if needed:
                skip(f"{cls.__name__} needs settings: {', '.join(needed)}")
            made = cls.from_settings(kind())
        if not isinstance(made, cls):
            fail(f"{cls.__name__}.from_settings() gave {type(made).__name__}: return cls(...)")


def _must_be_given(field: dataclasses.Field[object]) -> bool:
    nothing = dataclasses.MISSING
    return field.default is nothing and field.default_factory is nothing
