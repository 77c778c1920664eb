"""Stands before all that the page answers: who asks, by what name, and how much.

What is refused is refused before anything of the request is used. ASGI 3.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from ryu_droplog.web.admission import Hosts, Tokens

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

URL = 8_192
"""Bytes of path and query at most."""
_SAME_SITE = ("same-origin", "none")
"""Values of Sec-Fetch-Site that the page itself and a person's address bar send."""

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
        " img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none';"
        " require-trusted-types-for 'script'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
"""With every answer. Scripts and styles come from here alone, and no text can become markup."""


class Guard:
    """Lets requests through to the application that are what the page itself would ask."""

    def __init__(
        self, app: App, hosts: Hosts, tokens: Tokens | None, login: bytes, *, secure: bool
    ) -> None:
        """`login` is the page that asks for the token; `secure`: TLS is spoken."""
        self._app = app
        self._hosts = hosts
        self._tokens = tokens
        self._login = login
        self._secure = secure

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return

        async def send_guarded(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                given = {name for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *(
                        (name.encode(), value.encode())
                        for name, value in HEADERS.items()
                        if name.encode() not in given
                    ),
                ]
            await send(message)

        refusal = self._refusal(scope)
        await (self._app if refusal is None else refusal)(scope, receive, send_guarded)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        if scope["method"] not in ("GET", "HEAD"):
            return PlainTextResponse(
                "this page is only read: GET and HEAD", 405, {"allow": "GET, HEAD"}
            )
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._hosts.allow(hosts[0]):
            return PlainTextResponse("nobody is called so here", 421)
        if len(scope["raw_path"]) + len(scope["query_string"]) > URL:
            return PlainTextResponse(f"an address of more than {URL} bytes", 414)
        if headers.get("content-length", "0") != "0" or "transfer-encoding" in headers:
            return PlainTextResponse("a request has no body here", 413, {"connection": "close"})
        if scope["path"] != "/" and headers.get("sec-fetch-site", "none") not in _SAME_SITE:
            return PlainTextResponse("another site asks", 403)
        return None if self._tokens is None else self._unknown(scope, headers, self._tokens)

    def _unknown(self, scope: Scope, headers: Headers, tokens: Tokens) -> Response | None:
        """What is answered to who is not let in."""
        query = parse_qsl(scope["query_string"].decode("latin-1"), max_num_fields=64)
        given = [value for name, value in query if name == "token"]
        if scope["path"] == "/" and given and tokens.is_token(given[0]):
            rest = urlencode([pair for pair in query if pair[0] != "token"])
            answer = RedirectResponse(f"/?{rest}" if rest else "/", 303)
            answer.set_cookie(
                tokens.cookie,
                tokens.session,
                httponly=True,
                samesite="lax",
                secure=self._secure,
            )
            return answer
        if tokens.admits(headers.get("authorization", ""), headers.get("cookie", "")):
            return None
        if scope["path"] == "/assets/page.css":
            return None  # nothing of anybody's is in it, and the page of the login wears it
        if scope["path"] == "/":
            return Response(self._login, 401, media_type="text/html")
        return PlainTextResponse("needs the token", 401, {"www-authenticate": "Bearer"})
