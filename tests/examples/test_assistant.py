"""The assistant of ``docs/examples``: a real server, spoken to over HTTP."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from hypergraph import Graph
from tests.docs.pages import ROOT, blocks
from tests.docs.test_snippets import same

EXAMPLES = ROOT / "docs" / "examples"
PAGE = EXAMPLES / "assistant.md"
PATIENCE = 30  # seconds, of which a machine that is not overloaded needs hardly any
UVICORN = [sys.executable, "-m", "uvicorn"]
WATCHED = [*UVICORN, "--factory", "watched:app", "--timeout-graceful-shutdown", "1"]
WATCHED += ["--timeout-keep-alive", "60"]  # on a busy machine a client may be slow to ask again
READY = re.compile(r"Uvicorn running on (http://127\.0\.0\.1:\d+) ")

Told = tuple[str, Any]  # the name of a server-sent event, and its data


def until(true: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.01)


class Server:
    """A server in a process of its own, on a port that it chooses. Its files are in ``home``."""

    def __init__(self, home: Path, command: Sequence[str] = WATCHED, **environment: str) -> None:
        path = os.pathsep.join([str(EXAMPLES), str(Path(__file__).parent)])
        here = {"ASSISTANT_HOME": str(home), "PYTHONPATH": path, **environment}
        self.home = home
        self.command = [*command, "--port", "0"]
        self.environment = {**os.environ, "HYPERGRAPH_HOME": str(home / "keys"), **here}
        self.output = home / "server.log"
        self.begin()

    def begin(self) -> None:
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                self.command, cwd=ROOT, env=self.environment, stdout=output, stderr=output
            )
        try:
            until(self.is_ready, "the server is ready")
        except BaseException:
            self.process.kill()
            raise
        self.http = httpx.Client(base_url=self.address, timeout=PATIENCE)

    def is_ready(self) -> bool:
        assert self.process.poll() is None, self.said
        return self.address != ""

    @property
    def address(self) -> str:
        found = READY.search(self.said)
        return found[1] if found else ""

    def end(self, how: signal.Signals) -> None:
        self.http.close()
        self.process.send_signal(how)  # nothing happens if it has ended
        self.process.wait(PATIENCE)

    @property
    def said(self) -> str:
        return self.output.read_text(encoding="utf-8")

    # -- what the tests ask it ---------------------------------------------------------------

    def new(self, request: str) -> tuple[str, list[Told]]:
        """Begin a letter; returns its path, and all that was told."""
        with self.http.stream("POST", "/letters", json={"request": request}) as answer:
            assert answer.status_code == 201
            return answer.headers["location"], list(told(answer))

    def post(self, path: str, **body: Any) -> list[Told]:
        with self.http.stream("POST", path, json=body) as answer:
            assert answer.status_code == 200, answer.read()
            return list(told(answer))

    def get(self, path: str) -> Any:
        return self.http.get(path).raise_for_status().json()

    @property
    def calls(self) -> list[str]:
        log = self.home / "calls.log"
        return log.read_text(encoding="utf-8").splitlines() if log.exists() else []


def told(answer: httpx.Response) -> Iterator[Told]:
    """Read server-sent events one by one, as they come."""
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    lines = answer.iter_lines()
    for line in lines:
        yield read_event([line, *iter(lambda: next(lines), "")])


async def told_async(answer: httpx.Response) -> AsyncIterator[Told]:
    lines: list[str] = []
    async for line in answer.aiter_lines():
        if line:
            lines.append(line)
        else:
            yield read_event(lines)
            lines = []


def read_event(lines: list[str]) -> Told:
    (event, data) = lines
    assert event.startswith("event: ")
    assert data.startswith("data: ")
    return event[7:], json.loads(data[6:])


def drafts(events: list[Told]) -> list[str]:
    """Return the drafts that were told token by token."""
    found: list[str] = []
    for name, data in events:
        if name == "token":
            found[len(found) - (data["index"] > 0) :] = [
                (found[-1] if data["index"] else "") + data["text"]
            ]
    return found


def letter(request: str) -> str:
    return f"Dear reader,\nthis is about {request}. \nKind regards, your assistant "


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    yield server
    server.end(signal.SIGKILL)
    assert "Traceback" not in server.said
    assert "Dear" not in server.said


# --- what a letter goes through ---------------------------------------------------------------


def test_a_letter_is_drafted_revised_approved_and_sent(server: Server) -> None:
    path, events = server.new("apples")

    first, second = drafts(events)
    assert second == letter("apples")
    assert second.startswith(first)
    assert events[-1] == ("approval", {"draft": second})
    waiting = server.get(path)
    assert waiting["id"] == path.rpartition("/")[2]
    assert waiting["status"] == "paused"
    assert waiting["waits_for"] == ["approved"]
    assert waiting["draft"] == second
    assert "send" not in " ".join(server.calls)

    receipt = f"{waiting['id']}.txt"
    assert server.post(f"{path}/approval", approved=True) == [("done", {"receipt": receipt})]
    assert (server.home / "outbox" / receipt).read_text(encoding="utf-8") == second
    assert server.get(path)["status"] == "completed"
    assert server.get(path)["receipt"] == receipt
    assert server.calls == ["draft 0 of apples", "draft 1 of apples", f"send {waiting['id']}"]


def test_a_letter_that_is_not_approved_is_not_sent(server: Server) -> None:
    path, _ = server.new("apples")
    assert server.post(f"{path}/approval", approved=False) == [("done", {"receipt": None})]
    assert list((server.home / "outbox").iterdir()) == []
    assert server.post(path) == [("done", {"receipt": None})]
    assert server.calls == ["draft 0 of apples", "draft 1 of apples"]


def test_tokens_are_told_while_the_model_is_still_writing(server: Server) -> None:
    with server.http.stream("POST", "/letters", json={"request": "slowly"}) as answer:
        events = told(answer)
        assert next(events) == ("token", {"index": 0, "text": "Dear "})
        shown = server.get(answer.headers["location"])
        assert (shown["status"], shown["running"], shown["draft"]) == ("running", True, None)
        (server.home / "go").touch()
        rest = list(events)
    assert rest[-1] == ("approval", {"draft": letter("slowly")})


# --- what is refused --------------------------------------------------------------------------


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]


def test_wrong_answers_are_refused_and_change_nothing(server: Server) -> None:
    path, events = server.new("apples")
    before = server.get(path)
    http = server.http
    for wrong in ("yes", 1, None):
        status, error = refusal(http.post(f"{path}/approval", json={"approved": wrong}))
        assert status == 422
        assert error == f"The answer to 'approval' is of type {type(wrong).__name__}, not bool."
    for body in ('{"aproved": true}', "[]", "true", "{", ""):
        answer = http.post(f"{path}/approval", content=body)
        assert refusal(answer) == (422, "send a JSON object with 'approved'")
    assert server.get(path) == before
    assert server.post(path) == events[-1:]  # it still asks


def test_a_second_approval_is_refused(server: Server) -> None:
    path, _ = server.new("apples")
    server.post(f"{path}/approval", approved=False)
    answer = server.http.post(f"{path}/approval", json={"approved": True})
    assert refusal(answer) == (409, "the letter does not wait for approval")
    assert server.get(path)["status"] == "completed"
    assert list((server.home / "outbox").iterdir()) == []


def test_unknown_letters_and_empty_requests_are_refused(server: Server) -> None:
    http = server.http
    nobody = f"/letters/{'0' * 32}"
    for method, path in (
        ("GET", nobody),
        ("POST", nobody),
        ("DELETE", nobody),
        ("POST", f"{nobody}/approval"),
        ("GET", "/letters/apples"),
    ):
        answer = http.request(method, path, json={"approved": True})
        assert answer.status_code == 404, (method, path)
        assert answer.json().keys() == {"error"}
    for request in ("", "  ", 3, None):
        assert http.post("/letters", json={"request": request}).status_code == 422
    assert http.put("/letters", json={}).status_code == 405
    assert server.calls == []


def test_a_letter_that_is_being_written_belongs_to_one_client(server: Server) -> None:
    with server.http.stream("POST", "/letters", json={"request": "slowly"}) as answer:
        path, events = answer.headers["location"], told(answer)
        next(events)
        assert server.http.post(path).status_code == 409
        assert server.http.delete(path).status_code == 409
        assert refusal(server.http.post(f"{path}/approval", json={"approved": True})) == (
            409,
            "the letter does not wait for approval",
        )
        (server.home / "go").touch()
        assert list(events)[-1][0] == "approval"
    assert server.http.delete(path).status_code == 204
    assert server.http.get(path).status_code == 404


def test_what_fails_while_it_is_told_ends_with_an_error(server: Server) -> None:
    path, events = server.new("badly")
    assert [name for name, _ in events[-2:]] == ["token", "error"]
    assert events[-1] == ("error", {"type": "ConnectionError"})
    assert server.get(path)["status"] == "failed"
    until(lambda: "ConnectionError" in server.said, "the failure is logged")
    assert "badly" not in server.said  # what users write is nobody else's business


# --- what is survived -------------------------------------------------------------------------


def test_a_letter_survives_the_death_of_the_server(server: Server) -> None:
    waiting, _ = server.new("apples")
    with server.http.stream("POST", "/letters", json={"request": "pears, slowly"}) as answer:
        cut_off, events = answer.headers["location"], told(answer)
        next(events)
        server.end(signal.SIGKILL)
        with pytest.raises(httpx.TransportError):
            list(events)
    server.begin()
    assert server.get(waiting)["waits_for"] == ["approved"]
    assert server.get(cut_off)["running"] is False

    (server.home / "go").touch()
    ((name, _),) = server.post(f"{waiting}/approval", approved=True)
    assert name == "done"
    assert drafts(server.post(cut_off))[-1] == letter("pears, slowly")
    assert [call for call in server.calls if not call.startswith("send")] == [
        "draft 0 of apples",
        "draft 1 of apples",
        "draft 0 of pears, slowly",  # it was not finished
        "draft 0 of pears, slowly",
        "draft 1 of pears, slowly",
    ]
    assert [call for call in server.calls if call.startswith("send")] == [
        f"send {waiting.rpartition('/')[2]}"
    ]


def test_a_finished_draft_is_not_written_again(server: Server) -> None:
    path, _ = server.new("apples")
    server.end(signal.SIGKILL)
    server.begin()
    assert [name for name, _ in server.post(path)] == ["approval"]
    assert server.calls == ["draft 0 of apples", "draft 1 of apples"]


def test_a_client_that_goes_away_ends_its_run_and_nothing_else(server: Server) -> None:
    at_rest = server.get("/tasks")
    with server.http.stream("POST", "/letters", json={"request": "pears, slowly"}) as other:
        others = told(other)
        next(others)
        with (
            httpx.Client(base_url=server.http.base_url, timeout=PATIENCE) as leaving,
            leaving.stream("POST", "/letters", json={"request": "apples, slowly"}) as answer,
        ):
            path, events = answer.headers["location"], told(answer)
            next(events)
            assert server.get(path)["running"] is True
        until(lambda: not server.get(path)["running"], "the run has ended")
        (server.home / "go").touch()
        assert list(others)[-1][0] == "approval"
    until(lambda: server.get("/tasks") == at_rest, "no task is left")
    assert drafts(server.post(path))[-1] == letter("apples, slowly")


def test_a_server_that_is_told_to_stop_leaves_its_letters_in_order(server: Server) -> None:
    with server.http.stream("POST", "/letters", json={"request": "slowly"}) as answer:
        path, events = answer.headers["location"], told(answer)
        next(events)
        server.process.send_signal(signal.SIGTERM)
        with pytest.raises(httpx.TransportError):
            list(events)
        assert server.process.wait(PATIENCE) in (0, -signal.SIGTERM)
    assert "Traceback" not in server.said
    server.begin()
    (server.home / "go").touch()
    assert server.get(path)["running"] is False
    assert drafts(server.post(path))[-1] == letter("slowly")


# --- many at once -----------------------------------------------------------------------------


async def correspond(http: httpx.AsyncClient, request: str, approved: bool) -> tuple[str, bool]:
    """Have a letter written and answer it; returns the draft, and whether it was sent."""
    async with http.stream("POST", "/letters", json={"request": request}) as answer:
        events = [event async for event in told_async(answer)]
        path = answer.headers["location"]
    assert events[-1] == ("approval", {"draft": drafts(events)[-1]})
    async with http.stream("POST", f"{path}/approval", json={"approved": approved}) as answer:
        ((name, data),) = [event async for event in told_async(answer)]
    assert name == "done"
    return drafts(events)[-1], data["receipt"] is not None


def test_a_hundred_clients_at_once_each_get_their_own_letter(server: Server) -> None:
    at_rest = server.get("/tasks")

    async def all_of_them() -> list[tuple[str, bool]]:
        limits = httpx.Limits(max_connections=100)
        base = server.http.base_url
        async with httpx.AsyncClient(base_url=base, timeout=PATIENCE, limits=limits) as http:
            asked = (correspond(http, f"matter {n}", n % 3 > 0) for n in range(100))
            return await asyncio.gather(*asked)

    answers = asyncio.run(all_of_them())
    assert answers == [(letter(f"matter {n}"), n % 3 > 0) for n in range(100)]
    sent = [file.read_text(encoding="utf-8") for file in (server.home / "outbox").iterdir()]
    assert sorted(sent) == sorted(letter(f"matter {n}") for n in range(100) if n % 3)
    until(lambda: server.get("/tasks") == at_rest, "no task is left")


# --- what the page says -----------------------------------------------------------------------


def curl(http: httpx.Client, command: str) -> str:
    """Do what a command of the page does; returns what curl would print."""
    program, *words = shlex.split(command)
    assert program == "curl"
    data = words[words.index("-d") + 1] if "-d" in words else None
    (url,) = [word for word in words if word.startswith("http://127.0.0.1:8000/")]
    path = url.removeprefix("http://127.0.0.1:8000")
    answer = http.request("POST" if data else "GET", path, content=data)
    head = [f"HTTP/1.1 {answer.status_code} {answer.reason_phrase}"]
    head += [f"{name}: {value}" for name, value in answer.headers.items()]
    return "\n".join([*head, "", answer.text] if "-i" in words else [answer.text])


def test_the_commands_of_the_page_do_what_it_says(tmp_path: Path) -> None:
    start, *others = [block.code.strip() for block in blocks(PAGE) if block.language == "sh"]
    said = [block.code for block in blocks(PAGE) if block.language == "text"]
    script = start.replace(".venv/bin/uvicorn", f"exec {shlex.join(UVICORN)}") + ' "$@"'
    command = ["sh", "-c", script, "sh"]
    (tmp_path / "assistant").mkdir()
    server = Server(tmp_path / "assistant", command, HOME=str(tmp_path), PYTHONPATH="")
    try:
        letter_id = "ID"
        assert len(others) == len(said) == 3
        for line, expected in zip(others, said):
            printed = curl(server.http, line.replace("ID", letter_id))
            if letter_id == "ID":
                letter_id = printed.partition("location: /letters/")[2].partition("\n")[0]
                server.end(signal.SIGTERM)
                server.begin()
            assert same(printed.replace(letter_id, "ID"), expected), printed
    finally:
        server.end(signal.SIGKILL)


def test_the_graph_of_the_page_is_the_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)
    module = importlib.import_module("assistant.graph")
    graph: Graph = module.assistant(module.LocalModel(), module.Outbox(EXAMPLES))
    (drawn,) = [block.code for block in blocks(PAGE) if block.language == "mermaid"]
    assert drawn.strip() == graph.to_mermaid().strip()
