"""The assistant over HTTP.

A letter is a workflow: its id is the workflow's id, and what is known of it is in the database. So any
server on the same database can go on with any letter, and the server itself remembers nothing.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from assistant.graph import LocalModel, Model, Outbox, assistant
from hypergraph import AsyncRunner, InterruptEvent, RunStatus, StreamingChunkEvent
from hypergraph.checkpointers import SqliteCheckpointer, Workflow, WorkflowStatus
from hypergraph.errors import (
    HypergraphError,
    InputError,
    VersionMismatchError,
    WorkflowBusyError,
    WorkflowNotFoundError,
)
from hypergraph_runner_async import EventStream

log = logging.getLogger("assistant")


# --- what the server says ---------------------------------------------------------------------


def message(event: str, data: dict[str, Any]) -> str:
    """Return a server-sent event. JSON has no line breaks, which would end its data."""
    return f"event: {event}\ndata: {json.dumps(data)}\n\n"


class Told(StreamingResponse):
    """A run, told as server-sent events. If the client goes away, the run is cancelled."""

    def __init__(self, stream: EventStream, letter_id: str, status_code: int = 200) -> None:
        headers = {"Location": f"/letters/{letter_id}", "Cache-Control": "no-store"}
        super().__init__(self.messages(), status_code, headers, media_type="text/event-stream")
        self.stream = stream
        self.letter_id = letter_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self.stream:  # around all of it: a generator is not told when nobody reads on
            await super().__call__(scope, receive, send)

    async def messages(self) -> AsyncIterator[str]:
        try:
            async for event in self.stream:
                match event:
                    case StreamingChunkEvent(chunk=text, index=index):  # 0: a draft begins
                        yield message("token", {"index": index, "text": text})
                    case InterruptEvent(value=draft):
                        yield message("approval", {"draft": draft})
            result = self.stream.result
            if result.status is RunStatus.COMPLETED:
                yield message("done", {"receipt": result.values.get("receipt")})
        except Exception as error:  # the status has long been sent
            log.error("letter %s failed: %s", self.letter_id, type(error).__name__)
            yield message("error", {"type": type(error).__name__})


STATUS = {
    InputError: 422,
    WorkflowNotFoundError: 404,
    WorkflowBusyError: 409,
    VersionMismatchError: 409,
}


async def refused(_: Request, error: Exception) -> Response:
    """Say why not. The messages of hypergraph hold names and types, and never values."""
    if isinstance(error, HTTPException):
        return JSONResponse({"error": error.detail}, error.status_code, error.headers)
    assert isinstance(error, HypergraphError)
    status = next(status for kind, status in STATUS.items() if isinstance(error, kind))
    return JSONResponse({"error": error.what}, status)


# --- what it does -----------------------------------------------------------------------------


async def go_on(request: Request, letter_id: str, given: dict[str, Any], status: int = 200) -> Told:
    """Begin or resume the run of a letter.

    Its first event comes when everything was accepted. What is refused is raised here, while there
    is still a status to say it with.
    """
    stream = request.state.runner.iter(request.state.graph, given, workflow_id=letter_id)
    await anext(stream)
    return Told(stream, letter_id, status)


async def found(request: Request) -> Workflow:
    """Return the letter that is asked for. Raises ``WorkflowNotFoundError``."""
    letter_id = request.path_params["id"].hex
    workflow: Workflow = await run_in_threadpool(request.state.store.get_workflow, letter_id)
    return workflow


async def sent(request: Request, name: str) -> Any:
    """Return a field of the JSON that was sent."""
    try:
        body = await request.json()
    except ValueError:
        body = None
    if not isinstance(body, dict) or name not in body:
        raise HTTPException(422, f"send a JSON object with {name!r}")
    return body[name]


async def create(request: Request) -> Response:
    """Begin a letter."""
    text, letter_id = await sent(request, "request"), uuid4().hex
    if not isinstance(text, str) or not text.strip():
        raise HTTPException(422, "'request' says in words what to write")
    return await go_on(request, letter_id, {"request": text, "letter_id": letter_id}, 201)


async def resume(request: Request) -> Response:
    """Go on where a letter was cut off. One that waits for approval asks again."""
    return await go_on(request, (await found(request)).id, {})


async def approve(request: Request) -> Response:
    """Answer, and go on."""
    letter = await found(request)
    if letter.status is not WorkflowStatus.PAUSED:
        raise HTTPException(409, "the letter does not wait for approval")
    return await go_on(request, letter.id, {"approved": await sent(request, "approved")})


async def show(request: Request) -> Response:
    """Say what is known of a letter, and what it waits for."""
    letter = await found(request)
    state = await run_in_threadpool(request.state.store.get_state, letter.id)
    kept = {name: state.get(name) for name in ("request", "draft", "receipt")}
    waits_for = [pause.response_key for pause in letter.pauses]
    told = {"status": letter.status.value, "running": letter.held, "waits_for": waits_for}
    return JSONResponse({"id": letter.id, **told, **kept})


async def delete(request: Request) -> Response:
    """Forget a letter that is not being written right now."""
    await run_in_threadpool(request.state.store.delete, request.path_params["id"].hex)
    return Response(status_code=204)


def create_app(
    home: Path | None = None, model: Model | None = None, outbox: Outbox | None = None
) -> Starlette:
    """Return the service. Its files are in ``home``, by default ``$ASSISTANT_HOME``."""
    home = home or Path(os.environ.get("ASSISTANT_HOME", "assistant-data"))
    (home / "outbox").mkdir(parents=True, exist_ok=True)
    graph = assistant(model or LocalModel(), outbox or Outbox(home / "outbox"))

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[dict[str, Any]]:
        with SqliteCheckpointer(home / "letters.db") as store:
            yield {"graph": graph, "store": store, "runner": AsyncRunner(checkpointer=store)}

    routes = [
        Route("/letters", create, methods=["POST"]),
        Route("/letters/{id:uuid}", show, methods=["GET"]),
        Route("/letters/{id:uuid}", resume, methods=["POST"]),
        Route("/letters/{id:uuid}", delete, methods=["DELETE"]),
        Route("/letters/{id:uuid}/approval", approve, methods=["POST"]),
    ]
    handlers = dict.fromkeys([HTTPException, *STATUS], refused)
    return Starlette(routes=routes, lifespan=lifespan, exception_handlers=handlers)
