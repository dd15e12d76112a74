"""Serves the folder of reports over HTTP, read-only; who may read is the caller's to say.

Reports lie on the same host as Airflow's API, and what they show comes from data files and candidates. So every answer
is sandboxed: a page runs the scripts that are part of it, without the reader's session and without any network.
"""

# No `from __future__ import annotations`: FastAPI must see the dependencies, which are known inside a function only.

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, BinaryIO
from urllib.parse import quote

from fastapi import Depends, FastAPI, Request
from fastapi.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.exceptions import HTTPException

from include.domain.errors import AirlockError
from include.operations.report_links import dag_of, split_id

INDEX = "index.html"
CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".csv": "text/csv; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}
"""Shown by the browser; everything else is a download."""
HEADERS = {
    "Content-Security-Policy": "; ".join((
        "sandbox allow-scripts allow-downloads",
        "default-src 'none'",
        "script-src 'unsafe-inline'",
        "style-src 'unsafe-inline'",
        "img-src data: blob:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "private, no-store",
}  # fmt: skip
_LINES = {
    401: "sign in to Airflow, then open this address again",
    403: "you may not read the runs that this report belongs to",
    404: "there is no such report",
    405: "reports can be read, nothing else",
}
_CHUNK = 1 << 18

MayRead = Callable[[Request, Any, str], None]
"""Raises HTTPException unless the user may read the runs of a DAG."""


def build_app(reports: Callable[[], Path], *, sign_in: Callable[..., Any], may_read: MayRead) -> FastAPI:
    """The application; it has one route, and nothing that needs no sign-in.

    Args:
        reports: the folder, asked at every request; it need not exist.
        sign_in: FastAPI dependency that returns the user or raises HTTPException.
    """

    def guard(request: Request, user: Annotated[Any, Depends(sign_in)]) -> None:
        may_read(request, user, dag_of(request.path_params["path"]))

    app = FastAPI(title="Airlock reports", openapi_url=None, docs_url=None, redoc_url=None)

    @app.get("/{path:path}", dependencies=[Depends(guard)])
    def report(path: str) -> Response:
        try:
            return _answer(reports(), path)
        except AirlockError as error:
            return _line(500, str(error))

    @app.exception_handler(HTTPException)
    def explain(_request: Request, error: HTTPException) -> Response:
        return _line(error.status_code, _LINES.get(error.status_code, str(error.detail)), error.headers)

    return app


def locate(reports: Path, path: str) -> Path | None:
    """The file or folder of a report id; None when it is not there, is hidden, or is reached through a link.

    Only the folder of reports itself may be a symbolic link. So what is asked for, which decides who may read it, is
    what is read, and it lies below that folder.
    """
    parts = split_id(path)
    if parts is None:
        return None
    try:
        root = reports.resolve(strict=True)
        place = root.joinpath(*parts)
        return place if place.resolve(strict=True) == place and place.is_relative_to(root) else None
    except (OSError, RuntimeError, ValueError):
        return None


# --- inside ------------------------------------------------------------------------------------------------


def _answer(reports: Path, path: str) -> Response:
    is_folder = path.endswith("/")
    place = locate(reports, path.removesuffix("/") + f"/{INDEX}" if is_folder else path)
    if place is not None and place.is_dir() and not is_folder and locate(reports, f"{path}/{INDEX}") is not None:
        # Links on the index page are relative to the folder.
        return RedirectResponse(f"./{quote(place.name, safe='')}/", headers=HEADERS)
    if place is None or not place.is_file():
        raise HTTPException(404)
    try:
        # A report may be replaced at any moment: one that is open stays whole.
        stream = place.open("rb")
    except OSError:
        raise HTTPException(404) from None
    headers = {**HEADERS, "Content-Length": str(os.fstat(stream.fileno()).st_size)}
    content_type = CONTENT_TYPES.get(place.suffix.lower())
    if content_type is None:
        headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(place.name, safe='')}"
    # Given as a header, because Starlette would add a charset to a media type.
    headers["Content-Type"] = content_type or "application/octet-stream"
    return StreamingResponse(_chunks(stream), headers=headers)


def _chunks(stream: BinaryIO) -> Iterator[bytes]:
    with stream:
        while chunk := stream.read(_CHUNK):
            yield chunk


def _line(status: int, text: str, headers: Any = None) -> Response:
    return PlainTextResponse(f"{status}: {text}\n", status, {**(headers or {}), **HEADERS})
