"""The hub over HTTP: API, git, runner's side, artifact links and pages, on the loopback interface alone."""

from __future__ import annotations

import logging
import threading
from typing import Any

import flask
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound
from werkzeug.routing import Map, Rule

from pawl.localhub import (  # noqa: F401 (they register)
    githttp,
    routes_app,
    routes_archives,
    routes_checks,
    routes_git,
    routes_issues,
    routes_manifest,
    routes_pulls,
)
from pawl.localhub.api import ROUTES, Api, Observer
from pawl.localhub.errors import HubError, not_found
from pawl.localhub.hub import Hub
from pawl.localhub.pages import pages
from pawl.localhub.runner_routes import runner_routes

BASE = "/api/v3"


def create_app(hub: Hub, observer: Observer | None = None, base: str = BASE) -> flask.Flask:
    """The WSGI application of a hub."""
    app = flask.Flask(__name__)
    api = Api(hub, observer)
    app.config["HUB"], app.config["API"] = hub, api
    # The API has a URL map of its own, so that what no route knows is told apart from a page that is missing.
    table = Map(
        [Rule(route.rule, methods=[route.method], endpoint=route) for route in ROUTES], merge_slashes=False
    )
    methods = ["GET", "POST", "PUT", "PATCH", "DELETE"]

    def answer(path: str = "") -> flask.Response:
        below = hub.residence.by_name("/" + path)
        try:
            route, values = table.bind("").match(below, method=flask.request.method.replace("HEAD", "GET"))
        except (NotFound, MethodNotAllowed):
            hub.unknown_routes.append((flask.request.method, below))
            return flask.Response(flask.json.dumps(not_found().body()), 404, mimetype="application/json")
        return api.answer(route, {name: str(value) for name, value in values.items()}, below)

    app.add_url_rule(f"{base}/<path:path>", "api", answer, methods=methods)
    app.add_url_rule(f"{base}/", "api_root", answer, methods=methods)
    app.add_url_rule(base, "api_bare", answer, methods=["GET"], strict_slashes=False)

    @app.get("/<owner>/<name>.git/info/refs")
    def info_refs(owner: str, name: str) -> flask.Response:
        return githttp.serve(hub, f"{owner}/{name}", flask.request.args.get("service", ""), advertise=True)

    @app.post("/<owner>/<name>.git/<service>")
    def git_service(owner: str, name: str, service: str) -> flask.Response:
        return githttp.serve(hub, f"{owner}/{name}", service, advertise=False)

    @app.get("/_blob/<key>/<filename>")
    def blob(key: str, filename: str) -> flask.Response:
        if flask.request.headers.get("Authorization"):  # What Azure answers to a token that is not its own.
            return flask.Response("InvalidAuthenticationInfo", 403, mimetype="text/plain")
        data = routes_checks.link(hub, key)
        if data is None:
            return flask.Response("AuthenticationFailed: the link has expired", 403, mimetype="text/plain")
        return flask.Response(data, mimetype="application/zip")

    app.register_blueprint(runner_routes(hub))
    app.register_blueprint(routes_manifest.registration(hub))
    app.register_blueprint(pages(hub))

    @app.errorhandler(Exception)
    def failed(error: Exception) -> Any:
        if isinstance(error, HTTPException):
            return error
        if isinstance(error, HubError):
            return flask.Response(error.message, error.status, mimetype="text/plain")
        logging.getLogger("pawl.localhub").exception("the hub failed at %s", flask.request.path)
        return flask.Response(flask.json.dumps({"message": f"localhub failed: {error!r}"}), 500,
                              mimetype="application/json")  # fmt: skip

    return app


class HubServer:
    """Serves a hub on a loopback port (0: any free one) and delivers its webhooks."""

    def __init__(self, hub: Hub, port: int = 0, observer: Observer | None = None, base: str = BASE) -> None:
        from waitress.server import create_server

        self.hub = hub
        waitress: Any = create_server(
            create_app(hub, observer, base), host="127.0.0.1", port=port, threads=8, channel_timeout=120,
            max_request_body_size=2**31, ident="localhub", clear_untrusted_proxy_headers=True,
        )  # fmt: skip
        self._server = waitress
        self.url = f"http://127.0.0.1:{self._server.effective_port}"
        self.api_url = self.url + base
        hub.url, hub.api_url = self.url, self.api_url
        self._thread: threading.Thread | None = None

    def start(self) -> HubServer:
        """Begin to answer and to deliver."""
        self._thread = threading.Thread(target=self._server.run, name="localhub-http", daemon=True)
        self._thread.start()
        self.hub.events.start()
        return self

    def stop(self) -> None:
        """Stop delivering and answering; the hub stays open."""
        self.hub.events.stop()
        # First the requests under way end, then the loop over the sockets: a worker wakes that loop when it is done.
        self._server.task_dispatcher.shutdown(timeout=2)
        trigger = self._server.trigger
        # Under the lock: the loop could else run the closing on a worker's wake-up, and the pipe be gone before ours.
        with trigger.lock:
            trigger.thunks.append(self._close)
            trigger._physical_pull()
        if self._thread:
            self._thread.join(10)

    def _close(self) -> None:
        for channel in list(self._server.active_channels.values()):
            channel.handle_close()
        self._server.close()

    def __enter__(self) -> HubServer:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
