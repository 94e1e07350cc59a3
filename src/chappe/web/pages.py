"""The pages of a node: is it alive, is it ready, its metrics; and the handset's, which another process serves."""

from __future__ import annotations

from chappe.dialects import Request, Response
from chappe.observe import metrics_text
from chappe.store.database import Database, ready
from chappe.web.forward import forward
from chappe.web.server import Page

_TEXT = "text/plain; charset=utf-8"


class Pages:
    """handset_port: the loopback port of the handset's HTTP part; 0 where there is none to show."""

    def __init__(self, database: Database, handset_port: int, *, metrics: bool) -> None:
        self._database = database
        self._handset_port = handset_port
        self._metrics = metrics

    def table(self) -> dict[str, Page]:
        """Which page is at which path."""
        pages: dict[str, Page] = {"/healthz": self.healthz, "/readyz": self.readyz}
        if self._handset_port:
            pages["/"] = self.front
            pages["/handset"] = pages["/handset/"] = self.handset
        if self._metrics:
            pages["/metrics"] = self.metrics
        return pages

    async def healthz(self, request: Request) -> Response:
        """This process lives."""
        return Response(200, _TEXT, b"alive\n")

    async def readyz(self, request: Request) -> Response:
        """This process can accept messages: the database answers."""
        if await ready(self._database):
            return Response(200, _TEXT, b"ready\n")
        return Response(503, _TEXT, b"the database does not answer\n")

    async def metrics(self, request: Request) -> Response:
        """Counts of this process, for Prometheus."""
        return Response(200, "text/plain; version=0.0.4; charset=utf-8", metrics_text())

    async def front(self, request: Request) -> Response:
        """The address without a path: on a laptop, the phone is what one wants to see."""
        return Response(302, _TEXT, b"See /handset\n", (("Location", "/handset"),))

    async def handset(self, request: Request) -> Response:
        """The phone's page and its JSON, from the process that has them."""
        return await forward(request, self._handset_port)
