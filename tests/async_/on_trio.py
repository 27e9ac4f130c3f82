"""What a suite of the conformance kit overrides to run on trio's event loop."""

import anyio
import anyio.lowlevel
import trio


class OnTrio:
    """``class TestOnTrio(OnTrio, RunnerSuite)``."""

    def in_event_loop(self, main):
        return anyio.run(main, backend="trio")

    async def pause(self):
        await anyio.lowlevel.checkpoint()

    async def together(self, *calls):
        results = [None] * len(calls)

        async def one(index):
            results[index] = await calls[index]()

        async with anyio.create_task_group() as tasks:
            for index in range(len(calls)):
                tasks.start_soon(one, index)
        return results

    async def cancelled_when(self, ready, call):
        raised = []

        async def body():
            try:
                await call()
            except BaseException as error:
                raised.append(error)
                raise

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(body)
            while not ready():
                await self.pause()
            tasks.cancel_scope.cancel()
        return raised[0] if raised else None

    def living_tasks(self):
        return trio.lowlevel.current_statistics().tasks_living
