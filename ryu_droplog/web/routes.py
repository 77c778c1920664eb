"""What the page and its parts are asked by: addresses, each with its answer."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib.resources import files
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from ryu_droplog.model.errors import DropLogError
from ryu_droplog.observe.filters import FILTERS
from ryu_droplog.observe.query import QueryError
from ryu_droplog.records.json_text import to_json
from ryu_droplog.records.record import Record
from ryu_droplog.web.drop_file import hexadecimal, pcapng_of
from ryu_droplog.web.live import Live, TooManyError
from ryu_droplog.web.question import number_of, read_question
from ryu_droplog.web.switch_questions import NoAnswerError, SwitchQuestions
from ryu_droplog.web.updates import Updates
from ryu_droplog.web.view import facts_of, is_acked

Ask = Callable[[], list[dict[str, Any]]]
"""What each running program says of itself; raises DropLogError."""

_ENCODER = msgspec.json.Encoder()
_TYPES = {".js": "text/javascript", ".css": "text/css", ".html": "text/html"}
NO_PROGRAM = "the records do not come from a program on this host"
NO_SWITCH = f"{NO_PROGRAM}: no switch is asked"


def assets() -> dict[str, bytes]:
    """The files of the page, by name, as they are in the package."""
    folder = files("ryu_droplog.web") / "assets"
    return {
        entry.name: entry.read_bytes()
        for entry in folder.iterdir()
        if entry.is_file() and entry.name.endswith(tuple(_TYPES))
    }


def application(
    live: Live, switch: SwitchQuestions | None, ask_status: Ask | None, page: dict[str, bytes]
) -> Starlette:
    """The application; without `switch` and `ask_status` the records alone are shown."""
    part = _Parts(live, switch, ask_status, page)
    return Starlette(
        routes=[
            Route("/", part.front),
            Route("/assets/{name}", part.asset),
            Route("/api/filters", part.filters),
            Route("/api/check", part.check),
            Route("/api/live", part.live),
            Route("/api/drop", part.drop),
            Route("/api/drop.pcapng", part.capture),
            Route("/api/explain", part.explain),
            Route("/api/pipelines", part.pipelines),
            Route("/api/status", part.status),
        ],
        exception_handlers={
            QueryError: _answer_with(400),
            TooManyError: _answer_with(503),
            NoAnswerError: _answer_with(502),
        },
    )


def _answer_with(status: int) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def answer(request: Request, error: Exception) -> Response:
        return PlainTextResponse(str(error), status)

    return answer


def _json(data: object) -> Response:
    return Response(_ENCODER.encode(data), media_type="application/json")


class _Parts:
    """An answer each."""

    def __init__(
        self,
        live: Live,
        switch: SwitchQuestions | None,
        ask_status: Ask | None,
        page: dict[str, bytes],
    ) -> None:
        self._live = live
        self._switch = switch
        self._ask_status = ask_status
        self._page = page
        self._updates = Updates(live)

    async def front(self, request: Request) -> Response:
        return Response(self._page["index.html"], media_type="text/html")

    async def asset(self, request: Request) -> Response:
        name = request.path_params["name"]
        content = self._page.get(name)
        if content is None:
            return PlainTextResponse("there is no such file", 404)
        kind = next((kind for end, kind in _TYPES.items() if name.endswith(end)), None)
        return Response(content, media_type=kind)

    async def filters(self, request: Request) -> Response:
        return _json(
            [
                {"flag": f"--{name}", "value": chosen.value, "help": chosen.help}
                for name, chosen in FILTERS.items()
            ]
        )

    async def check(self, request: Request) -> Response:
        """Whether filters make sense, as they are typed."""
        read_question(request.query_params)
        return _json({})

    async def live(self, request: Request) -> Response:
        question = read_question(request.query_params)
        events = self._updates.follow(question)
        first = await anext(events)  # what is wrong is said by the status, not in the stream
        return StreamingResponse(_with(first, events), media_type="text/event-stream")

    async def drop(self, request: Request) -> Response:
        record = self._record(request)
        facts: dict[str, Any] = {**facts_of(record), "acked": is_acked(record), "time": record.time}
        return _json(
            {
                "record": msgspec.Raw(to_json(record)),
                "facts": facts,
                "bytes": hexadecimal(record.frame.data),
                "length": record.frame.length,
            }
        )

    async def capture(self, request: Request) -> Response:
        record = self._record(request)
        name = re.sub("[^0-9a-f]", "", record.signature.removeprefix("1:"))[:8]
        return Response(
            pcapng_of(record),
            media_type="application/x-pcapng",
            headers={"content-disposition": f'attachment; filename="drop-{name}.pcapng"'},
        )

    async def explain(self, request: Request) -> Response:
        record = self._record(request)
        if self._switch is None:
            raise NoAnswerError(NO_SWITCH)
        return _json(await self._switch.explain(record))

    async def pipelines(self, request: Request) -> Response:
        if self._switch is None:
            raise NoAnswerError(NO_SWITCH)
        return _json(await self._switch.pipelines())

    async def status(self, request: Request) -> Response:
        answers: list[dict[str, Any]] = []
        trouble = ""
        if self._ask_status is None:
            trouble = NO_PROGRAM
        else:
            try:
                answers = await asyncio.to_thread(self._ask_status)
            except DropLogError as error:
                trouble = str(error)
        page: dict[str, Any] = {**self._live.told(), "browsers": self._updates.browsers}
        return _json({"programs": answers, "trouble": trouble, "page": page})

    def _record(self, request: Request) -> Record:
        query = request.query_params
        number = number_of(query.get("number"), "number")
        found = self._live.find(query.get("signature", ""), number)
        if found is None:
            raise QueryError("this drop is not remembered any more")
        return found


async def _with(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for event in rest:
        yield event
