"""The web server, with one change: what is not HTTP at all is refused in the exchange's shape too."""

from __future__ import annotations

from typing import Any

import orjson
from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from include.venues.sandbox import errors
from include.venues.sandbox.gateway import told


class ShapedHandler(RequestHandler):
    """aiohttp answers unreadable requests in plain text; clients of the exchange expect its JSON."""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        denial = errors.ILLEGAL_REQUEST if status < 500 else errors.INTERNAL
        response = web.Response(body=orjson.dumps(told(denial)), status=status, content_type="application/json")
        response.force_close()
        return response


class ShapedServer(web.Server):
    """A server whose connections are `ShapedHandler`s."""

    def __init__(self, server: web.Server, **options: Any) -> None:
        super().__init__(server.request_handler, request_factory=server.request_factory, **options)
        self._options = options

    def __call__(self) -> RequestHandler:
        return ShapedHandler(self, loop=self._loop, **self._options)


class ShapedRunner(web.AppRunner):
    """Runs an application on a `ShapedServer`."""

    async def _make_server(self) -> web.Server:
        return ShapedServer(await super()._make_server(), access_log=None)
