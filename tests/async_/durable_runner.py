"""``DurableRunner``: what the kit asks of a durable runner, with as little as there can be."""

import asyncio
from dataclasses import replace

from hypergraph.checkpointers import SqliteCheckpointer, WorkflowStatus
from hypergraph_runner_async import AsyncRunner


class DurableRunner(AsyncRunner):
    """Keeps its runs in a file; entering it takes up those of its graphs that were cut off."""

    name = "durable"
    capabilities = replace(AsyncRunner.capabilities, supports_durable_execution=True)

    def __init__(self, cache=None, checkpointer=None, event_processors=(), *, graphs=(), path=None):
        if path is not None:
            checkpointer = SqliteCheckpointer(path)
        super().__init__(cache, checkpointer, event_processors)
        self.graphs = {graph.name: graph for graph in graphs}
        self.recovering = []

    async def __aenter__(self):
        if self.checkpointer is None:
            return self
        for workflow in self.checkpointer.list_workflows(status=WorkflowStatus.RUNNING):
            graph = self.graphs.get(workflow.graph_name)
            if graph is not None and not workflow.held:
                going_on = self.run(graph, workflow_id=workflow.id)
                self.recovering.append(asyncio.create_task(going_on))
        return self

    async def __aexit__(self, *raised):
        await asyncio.gather(*self.recovering, return_exceptions=True)
        if self.checkpointer is not None:
            self.checkpointer.close()


class IdleRunner(DurableRunner):
    """Keeps its runs, and takes up none."""

    async def __aenter__(self):
        return self


class RestartingRunner(DurableRunner):
    """Begins anew what was cut off."""

    async def __aenter__(self):
        for workflow in self.checkpointer.list_workflows(status=WorkflowStatus.RUNNING):
            inputs = self.checkpointer.get_steps(workflow.id)[0].values
            self.checkpointer.delete(workflow.id)
            again = self.run(self.graphs[workflow.graph_name], inputs, workflow_id=workflow.id)
            self.recovering.append(asyncio.create_task(again))
        return self


class LazyRunner(DurableRunner):
    """Writes down what it did when a run is over."""

    def __init__(self, *given, graphs=(), path=None, **options):
        super().__init__(*given, graphs=graphs, path=path, **options)
        if path is not None:
            self.checkpointer = SqliteCheckpointer(path, durability="exit")
