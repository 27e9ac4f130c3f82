import os
import subprocess
import sys
import textwrap
import threading
import warnings
from array import array

import pytest

from hypergraph.errors import UnkeyableError
from hypergraph.execution.keys import node_key
from hypergraph.nodes.definition import Definition, function_definition


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Write a package of the given modules, import it, and return its namespace; any number."""
    monkeypatch.syspath_prepend(str(tmp_path))
    names = []

    def write(package="app", **modules):
        folder = tmp_path / package
        folder.mkdir(exist_ok=True)
        for name in [key for key in sys.modules if key.partition(".")[0] == package]:
            del sys.modules[name]
        modules.setdefault("__init__", "")
        for name, text in modules.items():
            (folder / f"{name}.py").write_text(textwrap.dedent(text))
            stamp = len(names) + 1
            os.utime(folder / f"{name}.py", (stamp, stamp))
            names.append(name)
        sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
        try:
            __import__(f"{package}.main")
        finally:
            sys.dont_write_bytecode = before
        return sys.modules[f"{package}.main"]

    yield write
    for key in [key for key in sys.modules if key.partition(".")[0] in ("app", "other")]:
        del sys.modules[key]


def hash_of(load, text, **modules):
    return function_definition(load(main=text, **modules).f).hash


def test_a_hash_is_64_hex_digits_and_asked_for_of_functions_only():
    found = function_definition(hash_of)
    assert isinstance(found, Definition)
    assert len(found.hash) == 64
    assert int(found.hash, 16)
    with pytest.raises(TypeError, match="expected a function"):
        function_definition(len)


def test_comments_layout_and_docstrings_do_not_count(load):
    plain = hash_of(load, "def f(x):\n    return x + 1\n")
    assert plain == hash_of(
        load,
        '''
        # a comment
        def f( x ):   # another
            """A docstring."""

            return (x +
                    1)
        ''',
    )
    assert plain != hash_of(load, "def f(x):\n    return x + 2\n")


def test_our_decorators_do_not_count_and_others_do(load):
    plain = hash_of(load, "def f(x):\n    return x\n")
    decorated = """
    from hypergraph import node
    import hypergraph as hg
    @node(output_name="y")
    def g(x): return x
    @hg.node
    def f(x): return x
    f = f.func
    """
    assert plain == hash_of(load, decorated)
    other = "def keep(n):\n    return lambda func: func\n@keep({})\ndef f(x): return x\n"
    assert hash_of(load, other.format(1)) != hash_of(load, other.format(2))


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("def g(x): return {}\ndef f(x): return g(x)", "a function that it calls"),
        ("def h(x): return {}\ndef g(x): return h(x)\ndef f(x): return g(x)", "one further on"),
        ("def g(x): return f(x) + {}\ndef f(x): return g(x)", "one that calls back"),
        ("g = lambda x: {}\ndef f(x): return g(x)", "a lambda with a name"),
        ("LIMIT = {}\ndef f(x): return x + LIMIT", "a constant"),
        (
            "LIMIT: int = {}\ndef f(x): return [x + LIMIT for _ in x]",
            "a constant in an inner scope",
        ),
        ("TABLE = {{'a': {}}}\ndef f(x): return TABLE[x]", "the text of a mutable constant"),
        ("class C:\n  def run(self): return {}\ndef f(x): return C().run()", "a class it makes"),
        (
            "class C:\n  def run(self): return {}\ndef f(x: C): return x.run()",
            "an annotation's class",
        ),
        ("class B:\n  n = {}\nclass C(B): pass\ndef f(x): return C().n", "a base class"),
        ("class C:\n  n = {}\nc = C()\ndef f(x): return c.n", "the class of an instance"),
        (
            "import functools\n@functools.cache\ndef g(x): return {}\ndef f(x): return g(x)",
            "a wrapped one",
        ),
        (
            "from hypergraph import node\n@node\ndef g(x): return {}\ndef f(x): return g(x)",
            "a node",
        ),
        ("def f(x, y={}): return x", "a default"),
        ("def f(x, *, y={}): return x", "a keyword-only default"),
        ("def make(n):\n  def f(x): return x + n\n  return f\nf = make({})", "a closure"),
        (
            "def make(g):\n  def f(x): return g(x)\n  return f\nf = make(lambda x: {})",
            "a function in it",
        ),
        (
            "def make(n):\n  def f(x): return f(x) + n\n  return f\nf = make({})",
            "a recursive closure",
        ),
        ("def f(x):\n  def g(): return {}\n  return g()", "an inner function"),
        ("f = [lambda x: {}, lambda x: 77][0]", "one of two lambdas on a line"),
        ("f = (lambda: lambda x: {})()", "a lambda inside a lambda"),
    ],
)
def test_what_decides_the_result_counts(load, text, other):
    one, two = hash_of(load, text.format(1)), hash_of(load, text.format(2))
    assert one != two, other
    assert one == hash_of(load, text.format(1))


def test_two_lambdas_on_one_line_differ(load):
    main = load(main="f, g, h = lambda x: x, lambda x: -x, lambda: (lambda x: x)\n")
    assert len({function_definition(func).hash for func in (main.f, main.g, main.h)}) == 3
    assert function_definition(main.f).hash == function_definition(main.h()).hash


def test_what_the_function_does_not_use_does_not_count(load):
    text = "OTHER = {}\ndef g(x): return {}\ndef f(x): return x\n"
    assert hash_of(load, text.format(1, 1)) == hash_of(load, text.format(2, 2))


@pytest.mark.parametrize(
    "use",
    [
        "from app.tools import clean\ndef f(x): return clean(x)",
        "from app import tools\ndef f(x): return tools.clean(x)",
        "import app.tools\ndef f(x): return app.tools.clean(x)",
        "from . import tools as t\ndef f(x): return t.clean(x)",
        "def f(x):\n  from .tools import clean\n  return clean(x)",
        "def f(x):\n  from app import tools\n  return tools.clean(x)",
        "def f(x):\n  import app.tools\n  return app.tools.clean(x)",
        "from app.tools import TABLE\ndef f(x): return TABLE[x]",
        "from app import tools\ndef f(x): return tools.LIMIT",
        "from app.tools import Cleaner\ndef f(x): return Cleaner().clean(x)",
    ],
)
def test_other_modules_of_the_package_count(load, use):
    tools = """
    LIMIT = {0}
    TABLE = [{0}]
    def clean(x): return {0}
    class Cleaner:
        def clean(self, x): return {0}
    """
    one = hash_of(load, use, tools=tools.format(1))
    assert one != hash_of(load, use, tools=tools.format(2))
    assert one == hash_of(load, use, tools=tools.format(1))


def test_other_packages_count_by_name_only(load):
    load("other", main="def g(x): return 1\n")
    use = "from other.main import g\ndef f(x): return g(x)"
    one = hash_of(load, use)
    load("other", main="def g(x): return 2\n")
    assert one == hash_of(load, use)


def test_the_name_of_the_module_and_its_place_do_not_count(load, tmp_path):
    text = "def g(x): return x\ndef f(x): return g(x)\n"
    assert hash_of(load, text) == function_definition(load("other", main=text).f).hash


def test_a_helper_that_is_defined_again_counts_at_once(load):
    main = load(main="def g(x): return 1\ndef f(x): return g(x)\n")
    before = function_definition(main.f)
    assert function_definition(main.f) is before
    exec("def g(x): return 2", main.__dict__)
    after = function_definition(main.f)
    assert after.hash != before.hash
    main.f.__defaults__ = (3,)
    assert function_definition(main.f).hash != after.hash


@pytest.mark.parametrize("table", [[1], {0: 1}, bytearray(b"\1"), array("i", [1])], ids=repr)
def test_a_closure_that_changes_in_place_counts_at_once(table):
    def f(x):
        return table[x]

    before = function_definition(f).hash
    table[0] = 2
    assert function_definition(f).hash != before
    table[0] = 1
    assert function_definition(f).hash == before


@pytest.mark.parametrize("held", ["s", "[s]", "{'a': (s,)}", "s.score"])
def test_what_the_objects_in_a_closure_do_counts(load, held):
    text = f"""
        from dataclasses import dataclass
        @dataclass
        class Scorer:
            k: int
            def score(self, x): return self.weigh(x)
            def weigh(self, x): return x * self.k + CHANGE
        def make(s):
            held = {held}
            def f(x): return held
            return f
        f = make(Scorer(2))
    """
    once = hash_of(load, text.replace("CHANGE", "1"))
    assert once == hash_of(load, text.replace("CHANGE", "1"))
    assert once != hash_of(load, text.replace("CHANGE", "2"))


def test_definitions_may_be_read_by_many_threads_at_once(load):
    modules = {
        f"m{n}": f"def kept(f): return f\n@kept\ndef f{n}(x): return x\n" * 20 for n in range(20)
    }
    main = load(main="".join(f"from app.m{n} import f{n}\n" for n in range(20)), **modules)
    found = [set() for _ in range(20)]
    ready = threading.Barrier(8)
    before, interval = list(warnings.filters), sys.getswitchinterval()

    def read():
        ready.wait()
        for n, hashes in enumerate(found):
            hashes.add(function_definition(getattr(main, f"f{n}")).hash)

    threads = [threading.Thread(target=read) for _ in range(8)]
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert [len(hashes) for hashes in found] == [1] * 20
    assert warnings.filters == before


def test_a_file_that_is_edited_after_its_import_is_not_taken_for_the_code(load, tmp_path):
    main = load(main="def f(x): return 1\n")
    (tmp_path / "app" / "main.py").write_text("def f(x): return 2\n")
    edited = function_definition(main.f).hash
    assert edited != hash_of(load, "def f(x): return 2\n")


def test_code_without_text_is_told_apart_by_what_it_does():
    def made(text):
        space = {"__name__": "nowhere"}
        exec(text, space)
        return function_definition(space["f"]).hash

    assert made("def f(x): return x + 1") == made("\n\ndef f(x):\n    return x + 1")
    assert made("def f(x): return x + 1") != made("def f(x): return x + 2")
    assert made("def f(x): return x + 1") != made("def f(x): return x - 1")
    nested = "def f(x):\n  def g(): return {}\n  return g()"
    assert made(nested.format(1)) != made(nested.format(2))
    called = "def g(x): return {}\ndef f(x): return g(x)"
    assert made(called.format(1)) != made(called.format(2))
    assert made("def f(x): return x in {'a', 'b', 'c'}") == made(
        "def f(x): return x in {'c', 'b', 'a'}"
    )


def test_a_held_value_of_unknown_content_makes_results_uncachable_but_not_unhashable():
    class Client:
        pass

    def make(client):
        def f(x, y=1):
            return client

        return f

    found = function_definition(make(Client()))
    assert "closure variable 'client'" in found.unkeyable
    assert "Client" in found.unkeyable
    assert found.hash == function_definition(make(Client())).hash
    assert found.hash != function_definition(make(iter([]))).hash
    assert function_definition(make(1)).unkeyable is None


def test_a_mark_as_default_is_cachable():
    mark = object()

    def f(x=mark):
        return x is mark

    assert function_definition(f).unkeyable is None


def test_a_global_client_counts_by_type_and_text(load):
    text = "class Client: pass\nclient = Client()\ndef f(x): return client\n"
    found = function_definition(load(main=text).f)
    assert found.unkeyable is None
    assert found.hash == hash_of(load, text)


def test_a_function_that_holds_itself_in_a_list_is_uncachable():
    held = []

    def f(x):
        return held

    held.append(f)
    assert function_definition(f).unkeyable is not None


def test_a_long_chain_of_calls_needs_no_recursion(load):
    text = "\n".join(f"def f{i}(x): return f{i + 1}(x)" for i in range(3000))
    main = load(main=f"{text}\ndef f3000(x): return {{}}\nf = f0\n")
    assert len(function_definition(main.f).hash) == 64


SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
from hypergraph.nodes.definition import function_definition
if sys.argv[2] == "import":
    from app.main import f
else:
    import runpy
    f = runpy.run_path(sys.argv[1] + "/app/main.py", run_name="__main__")["f"]
print(function_definition(f).hash)
"""


def test_the_hash_is_the_same_in_every_process_and_directory(load, tmp_path):
    here = hash_of(
        load,
        """
        WORDS = frozenset({"a", "b", "c", "d"})
        TABLE = {"x": {1, 2, 3}}
        def g(x, allowed=frozenset({"p", "q", "r"})): return x in {"s", "t", "u"}
        def f(x): return g(x) in WORDS or TABLE
        """,
    )
    seen = {here}
    for seed, cwd, how in [("0", "/", "import"), ("1", tmp_path, "import"), ("7", "/", "script")]:
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(tmp_path), how],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=cwd,
            capture_output=True,
            text=True,
            check=True,
        )
        seen.add(done.stdout.strip())
    assert len(seen) == 1


def test_functions_and_classes_are_values_too(load):
    text = "def g(x): return {0}\ndef f(x): return g(x)\nclass C:\n  def m(self): return {0}\n"
    one = load(main=text.format(1))
    keys = [node_key("p", {"x": value}) for value in (one.f, [one.f], one.C)]
    two = load(main=text.format(2))
    others = [node_key("p", {"x": value}) for value in (two.f, [two.f], two.C)]
    assert not set(keys) & set(others)
    held = iter([])
    with pytest.raises(UnkeyableError):
        node_key("p", {"x": lambda: held})
