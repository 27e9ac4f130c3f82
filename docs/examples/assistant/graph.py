"""What the assistant does, whoever serves it: draft, revise until it is good, ask, send.

Nothing here knows of HTTP or of a database. The model and the outbox are bound to the graph, so that
another model is another argument and not another graph.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

from hypergraph import END, Graph, InterruptNode, branch, node

CLOSING = "Kind regards, your assistant"


class Model(Protocol):
    """A language model that answers token by token."""

    def stream(self, prompt: str) -> AsyncIterator[str]: ...


class LocalModel:
    """Stands in for a real one: the same prompt always gives the same text, a word at a time."""

    def __init__(self, pace: float = 0.05) -> None:
        self.pace = pace  # seconds between words

    async def stream(self, prompt: str) -> AsyncIterator[str]:
        request, *remarks = prompt.splitlines()
        text = f"Dear reader,\nthis is about {request}."
        for word in " \n".join([text, *remarks]).split(" "):
            await asyncio.sleep(self.pace)
            yield f"{word} "


class Outbox:
    """A directory in which each letter that was sent is a file."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def send(self, letter_id: str, text: str) -> str:
        """Send a letter and return its file name. Sending it twice is sending it once: a process
        that dies before the result is stored does it again when it goes on."""
        path = self.directory / f"{letter_id}.txt"
        part = path.with_suffix(".part")
        part.write_text(text, encoding="utf-8")
        part.replace(path)
        return path.name


@node(output_name="draft")
async def write(request: str, model: Model, remark: str = "") -> AsyncIterator[str]:
    async for token in model.stream(f"{request}\n{remark}".strip()):
        yield token


@node(output_name="remark")
def review(draft: str) -> str:
    return "" if CLOSING in draft else CLOSING


@branch(when_true="write", when_false="approval")
def needs_work(remark: str) -> bool:
    return remark != ""


approval = InterruptNode("approval", "draft", "approved", response_type=bool)


@branch(when_true="send", when_false=END)
def is_approved(approved: bool) -> bool:
    return approved


@node(output_name="receipt")
def send(letter_id: str, draft: str, outbox: Outbox) -> str:
    return outbox.send(letter_id, draft)


def assistant(model: Model, outbox: Outbox) -> Graph:
    """Return the graph; a run needs a ``letter_id`` and a ``request``, and the answer ``approved``."""
    graph = Graph([write, review, needs_work, approval, is_approved, send], name="assistant")
    return graph.bind(model=model, outbox=outbox)
