"""What the views of a graph say, and that they can be drawn for any graph."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from hypergraph import END, Graph, InterruptNode, TypeRouteNode, branch, node, route
from hypergraph.viz.html import repr_mimebundle
from hypergraph.viz.layout import Box, Drawing, layout
from hypergraph.viz.model import DEPTH, ROOM, view


@node(output_name="query")
def ask(question):
    return question


@node(output_name="hits")
def search(query, index, limit=5):
    return [query, index, limit]


@branch(when_true=END, when_false="refine")
def good_enough(hits):
    return bool(hits)


@node(output_name="query")
def refine(query, hits):
    return query, hits


def loop() -> Graph:
    return Graph([ask, search, good_enough, refine], name="lookup")


def chain(length: int) -> Graph:
    return Graph(
        [
            node(lambda value: value, name=f"n{i}", output_name=f"v{i + 1}").with_inputs(
                value=f"v{i}"
            )
            for i in range(length)
        ],
        name="chain",
    )


def nested(depth: int) -> Graph:
    graph = Graph([ask], name="level0")
    for level in range(1, depth + 1):
        graph = Graph([graph.as_node()], name=f"level{level}")
    return graph


# --- text -------------------------------------------------------------------------------------


def test_the_summary_says_what_goes_in_what_comes_out_and_what_happens() -> None:
    graph = Graph(
        [loop().as_node().map_over("question"), node(lambda hits: hits, name="report")],
        name="app",
    ).bind(index={"secret": 1})
    assert graph.describe() == (
        "Graph 'app', 2 nodes\n"
        "  Inputs:   question\n"
        "  Optional: limit\n"
        "  Bound:    index\n"
        "  Outputs:  query, hits, report\n"
        "  Needs:    cycles (lookup/search), gates (lookup/good_enough)\n"
        "  Nodes:\n"
        "    lookup(question, index, limit=...) -> query, hits  [maps over question]\n"
        "        ask(question) -> query\n"
        "        search(query, index, limit=...) -> hits  [loop starts here]\n"
        "        good_enough(hits) -> true: END | false: refine  [branch]\n"
        "        refine(query, hits) -> query\n"
        "    report(hits) -> report"
    )


def test_a_loop_without_anything_before_it_has_a_seed() -> None:
    graph = Graph([search, good_enough, refine], entrypoint="search")
    assert "  Seeds:    query\n" in graph.describe()
    assert graph.describe().startswith("Graph, 3 nodes\n")


def test_every_kind_of_node_is_told_apart() -> None:
    @route(targets=["text", END], fallback="wait")
    def choose(item):
        return None

    @node(output_name=None)
    async def text(item):
        return item

    @node(output_name="chunks")
    def stream(item):
        yield item

    kinds = TypeRouteNode("kinds", "item", {str: "text", int: END}, fallback="stream")
    wait = InterruptNode("wait", "item", "reply")
    lines = Graph([choose, text, stream, kinds, wait]).describe().splitlines()
    assert [line.strip() for line in lines[lines.index("  Nodes:") + 1 :]] == [
        "choose(item) -> text | END | otherwise: wait  [route]",
        "text(item)  [async]",
        "stream(item) -> chunks  [streams]",
        "kinds(item) -> str: text | int: END | otherwise: stream  [type route]",
        "wait(item) -> reply  [interrupt]",
    ]


def test_no_value_is_ever_shown() -> None:
    graph = loop().bind(index="a secret", question="another secret")
    shown = graph.describe() + graph.to_mermaid() + graph.visualize()
    assert "secret" not in shown


def test_a_long_graph_is_abbreviated_everywhere() -> None:
    graph = chain(10_000)
    assert graph.describe().endswith("... 9800 more nodes")
    assert "... 9990 more" in graph.describe()
    for shown in (graph.to_mermaid(), graph.visualize()):
        assert "n199" in shown
        assert "n200" not in shown.replace("n200[", "")
        assert "... 9800 more nodes" in shown


def test_a_deep_graph_is_abbreviated_everywhere() -> None:
    graph = nested(200)
    assert f"level{200 - DEPTH}" in graph.describe()
    assert graph.describe().endswith("... 1 node")
    assert graph.to_mermaid().count("subgraph") == DEPTH
    assert "level199" in graph.visualize()


def test_nested_graphs_share_the_room() -> None:
    graph = Graph([chain(150).as_node(name=f"part{i}", namespaced=True) for i in range(10)])
    shown = view(graph)
    inner = [part.inner for part in shown.nodes]
    assert len(shown.nodes) == 10
    assert all(part is not None and len(part.nodes) == (ROOM - 10) // 10 for part in inner)


def test_an_empty_graph_can_be_shown() -> None:
    empty = Graph([], name="empty")
    assert empty.describe() == "Graph 'empty', 0 nodes"
    assert empty.to_mermaid() == "flowchart TD\n"
    assert "<svg" in empty.visualize()


# --- mermaid ----------------------------------------------------------------------------------


def test_the_flowchart_has_shapes_and_arrows_by_meaning() -> None:
    assert loop().to_mermaid().splitlines() == [
        "flowchart TD",
        '  i0(["question"])',
        '  i1(["index"])',
        '  i2(["limit<br/><small>optional</small>"])',
        '  n0["ask"]',
        '  n1["search<br/><small>loop starts here</small>"]',
        '  n2{"good_enough"}',
        '  n3["refine"]',
        '  nend_(("END"))',
        "  i0 --> n0",
        "  i1 --> n1",
        "  i2 --> n1",
        '  n0 -->|"query"| n1',
        '  n3 -->|"query"| n1',
        '  n1 -->|"hits"| n2',
        '  n0 -->|"query"| n3',
        '  n1 -->|"hits"| n3',
        '  n2 -.->|"true"| nend_',
        '  n2 -.->|"false"| n3',
    ]


def test_a_nested_graph_is_a_subgraph_that_ends() -> None:
    lines = Graph([loop().as_node().map_over("question")]).to_mermaid().splitlines()
    start = lines.index('  subgraph n0["lookup<br/><small>maps over question</small>"]')
    assert lines.index("  end") > start
    assert '    n0_2{"good_enough"}' in lines


@pytest.mark.parametrize("name", ["end", "subgraph", "graph", "style", "default", "o", "x", "Grün"])
def test_no_name_becomes_an_identifier_or_leaves_its_quotes(name: str) -> None:
    graph = Graph([node(lambda a: a, name=name, output_name="class")], name="click")
    for line in graph.as_node().graph.to_mermaid().splitlines()[1:]:
        bare = re.sub(r'"[^"]*"', "", line)
        assert re.fullmatch(r" *(i|n)\d+(\[\]|\(\[\]\)| --> n\d+)", bare)


def test_what_a_type_route_says_is_escaped() -> None:
    odd = type('A<b>"#`', (), {})
    graph = Graph([TypeRouteNode("kinds", "item", {odd: END})])
    assert "A#lt;b#gt;#quot;#35;#96;" in graph.to_mermaid()
    assert "A&lt;b&gt;&quot;#`" in graph.visualize()


# --- HTML -------------------------------------------------------------------------------------


class Checked(HTMLParser):
    """Collects tags, and refuses tags that are closed out of turn."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(page)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_fetches_nothing() -> None:
    page = loop().visualize()
    checked = Checked(page)
    assert checked.open == []
    assert not {"script", "link", "img", "iframe", "object"} & set(checked.tags)
    assert not {"src", "href", "onload"} & {name for name, _ in checked.attributes}
    assert "url(" not in page
    assert "@import" not in page
    assert set(re.findall(r"https?://[^\s\"']+", page)) == {"http://www.w3.org/2000/svg"}
    assert "prefers-color-scheme: dark" in page


def test_the_page_is_written_where_it_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "graph.html"
    assert loop().visualize(str(path)) == path
    assert path.read_text(encoding="utf-8") == loop().visualize()


def test_every_view_says_how_a_graph_is_mapped() -> None:
    mapped = Graph([search], name="inner").as_node().map_over("query", "index", mode="product")
    graph = Graph([mapped])
    for shown in (graph.describe(), graph.to_mermaid(), graph.visualize()):
        assert "maps over query x index" in shown


def test_a_notebook_gets_every_form_and_those_it_asks_for() -> None:
    graph = loop()
    assert graph._repr_mimebundle_() == {
        "text/plain": graph.describe(),
        "text/html": graph._repr_html_(),
        "text/vnd.mermaid": graph.to_mermaid(),
    }
    assert list(repr_mimebundle(graph, include={"text/plain"})) == ["text/plain"]
    assert "text/html" not in repr_mimebundle(graph, exclude=["text/html"])


def overlapping(drawing: Drawing) -> list[tuple[str, str]]:
    def apart(one: Box, other: Box) -> bool:
        return (
            one.x + one.width <= other.x
            or other.x + other.width <= one.x
            or one.y + one.height <= other.y
            or other.y + other.height <= one.y
        )

    boxes = drawing.boxes
    return [
        (one.title, other.title)
        for n, one in enumerate(boxes)
        for other in boxes[n + 1 :]
        if not apart(one, other)
    ]


@pytest.mark.parametrize(
    "graph",
    [
        loop(),
        Graph([loop().as_node().map_over("question"), node(lambda hits: hits, name="report")]),
        chain(30),
        nested(5),
        Graph([node(lambda s: s, name=f"w{i}", output_name=f"o{i}") for i in range(20)]),
    ],
    ids=["loop", "mapped", "chain", "nested", "wide"],
)
def test_boxes_lie_apart_and_inside_the_drawing(graph: Graph) -> None:
    def check(drawing: Drawing) -> None:
        assert overlapping(drawing) == []
        for box in drawing.boxes:
            assert 0 <= box.x <= box.x + box.width <= drawing.width + 0.01
            assert 0 <= box.y <= box.y + box.height <= drawing.height + 0.01
            if box.inner is not None:
                assert box.inner.width <= box.width
                assert box.inner.height <= box.height
                check(box.inner)

    check(layout(view(graph)))


def test_data_flows_downwards_except_where_a_loop_closes() -> None:
    drawing = layout(view(loop()))
    for line in drawing.lines:
        assert (line.points[0][1] < line.points[-1][1]) is not line.back
    assert [line.label for line in drawing.lines if line.back] == ["query"]


def test_a_node_that_only_feeds_itself_is_no_loop() -> None:
    graph = Graph([node(lambda total: total, name="keep", output_name="total")], name="g")
    assert graph.describe().endswith("keep(total) -> total")
    assert "Seeds:    total" in graph.describe()
    assert "  i0 --> n0\n" in graph.to_mermaid()
    assert "n0 -->" not in graph.to_mermaid()
    assert layout(view(graph)).width > 0
