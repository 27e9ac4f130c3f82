"""The assistant of ``docs/examples`` as the tests serve it: what it does is written down.

``calls.log`` gets a line for each call of the model and of the outbox. A request that says "slowly"
is answered with one word, and the rest once the file ``go`` is there.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

from assistant.graph import LocalModel, Outbox
from assistant.service import create_app
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route


def note(home: Path, what: str) -> None:
    with (home / "calls.log").open("a", encoding="utf-8") as log:
        log.write(f"{what}\n")


class WatchedModel(LocalModel):
    def __init__(self, home: Path) -> None:
        super().__init__(pace=0)
        self.home = home

    async def stream(self, prompt: str) -> AsyncIterator[str]:
        request, *remarks = prompt.splitlines()
        note(self.home, f"draft {len(remarks)} of {request}")
        async for token in super().stream(prompt):
            yield token
            while "slowly" in request and not (self.home / "go").exists():
                await asyncio.sleep(0.01)
        if "badly" in request:
            raise ConnectionError(f"no model for {request}")


class WatchedOutbox(Outbox):
    def send(self, letter_id: str, text: str) -> str:
        note(self.directory.parent, f"send {letter_id}")
        return super().send(letter_id, text)


async def tasks(request: Request) -> JSONResponse:
    """Say how many tasks there are besides this one."""
    return JSONResponse(len(asyncio.all_tasks()) - 1)


def app() -> Starlette:
    home = Path(os.environ["ASSISTANT_HOME"])
    made = create_app(home, WatchedModel(home), WatchedOutbox(home / "outbox"))
    made.router.routes.append(Route("/tasks", tasks))
    return made
