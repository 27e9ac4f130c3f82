import sys
from pathlib import Path
from types import ModuleType

import pytest

from hypergraph._deferred import deferred, lazy_module


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module that can be imported, and has not been."""
    (tmp_path / "deferred_target.py").write_text(
        "def add(a, b=0):\n    return a + b\n\ndef own_name(self):\n    return self.name\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "deferred_target", raising=False)
    return "deferred_target"


def test_a_deferred_function_is_imported_by_its_first_call(module: str) -> None:
    add = deferred(f"{module}:add")
    assert module not in sys.modules
    assert add(1, b=2) == 3
    assert module in sys.modules
    assert add.__name__ == "add"


def test_a_deferred_function_in_a_class_is_a_method(module: str) -> None:
    class Thing:
        name = "thing"
        own_name = deferred(f"{module}:own_name")

    assert Thing().own_name() == "thing"


def test_a_failing_import_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    late = deferred("comes_late:answer")
    with pytest.raises(ModuleNotFoundError):
        late()
    (tmp_path / "comes_late.py").write_text("def answer():\n    return 42\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert late() == 42


@pytest.mark.parametrize("target", ["module", "module:", ":name", "module:a.b", "module:a b"])
def test_another_form_is_refused_at_once(target: str) -> None:
    with pytest.raises(ValueError, match=r"package\.module:attribute"):
        deferred(target)


def test_a_lazy_module_imports_a_name_when_it_is_read(
    module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = ModuleType("lazy_package")
    monkeypatch.setitem(sys.modules, "lazy_package", package)
    get_attribute, directory = lazy_module("lazy_package", {"add": module})
    package.__getattr__ = get_attribute  # type: ignore[method-assign]

    assert "add" in directory()
    assert module not in sys.modules
    assert package.add(1) == 1
    assert "add" in vars(package)
    with pytest.raises(AttributeError, match="'lazy_package' has no attribute 'sub'"):
        _ = package.sub
