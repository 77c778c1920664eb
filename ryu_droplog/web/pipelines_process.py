"""Reads the pipelines of the bridges of a configuration from their switches, and writes JSON.

A process of its own: `python -m ryu_droplog.web.pipelines_process --config FILE`. It changes
nothing on a switch.
"""

from __future__ import annotations

import json
import sys
from functools import partial
from typing import Any

from ryu_droplog.concurrency import hubs

# Before anything of os-ken or pydantic: under eventlet the hub changes the standard library.
hubs.ready()

from ryu_droplog.config import loader  # noqa: E402
from ryu_droplog.config.options import choose  # noqa: E402
from ryu_droplog.config.settings import ANY_BRIDGE, Bridge  # noqa: E402
from ryu_droplog.model.errors import DropLogError  # noqa: E402
from ryu_droplog.owners.detection import choose_pipeline, recognise  # noqa: E402
from ryu_droplog.pipelines.loader import load_pipelines  # noqa: E402
from ryu_droplog.runtime.one_shot import look, reach_bridge  # noqa: E402
from ryu_droplog.web.flow_graph import flow_graph  # noqa: E402


def main(config: str) -> dict[str, Any]:
    """The pipelines, and the bridges that could not be read; raises DropLogError."""
    settings = loader.load(choose(config))
    pipelines = load_pipelines(settings.pipeline_directory)
    loader.check_pipelines(settings, pipelines)
    found: list[dict[str, Any]] = []
    for bridge in settings.bridges:
        if bridge.name == ANY_BRIDGE:
            continue
        try:
            found.append(_graph(bridge, pipelines))
        except DropLogError as error:
            found.append({"bridge": bridge.name, "trouble": str(error), "tables": [], "ways": []})
    return {"bridges": found}


def _graph(bridge: Bridge, pipelines: dict[str, Any]) -> dict[str, Any]:
    snapshot = reach_bridge(bridge, partial(look, bridge=bridge))
    pipeline = choose_pipeline(bridge.pipeline, recognise(snapshot.flows), pipelines)
    return flow_graph(bridge.name, pipeline, snapshot.flows, snapshot.names)


if __name__ == "__main__":
    try:
        json.dump(main(sys.argv[2]), sys.stdout)
    except DropLogError as error:
        sys.exit(f"ryu-droplog: {error}")
