"""Registering the App by a manifest: the form that a person confirms, and the code that becomes credentials."""

from __future__ import annotations

import json
import secrets
from typing import Any
from urllib.parse import urlencode

import flask

from pawl.localhub.api import Call, Reply, route
from pawl.localhub.errors import not_found
from pawl.localhub.hub import Hub

CODE_SECONDS = 3600


def registration(hub: Hub) -> flask.Blueprint:
    """GitHub's page for a manifest. Here nobody has to press the button: the person is taken to have confirmed."""
    site = flask.Blueprint("registration", __name__)

    @site.post("/settings/apps/new")
    @site.post("/organizations/<organisation>/settings/apps/new")
    def new(organisation: str = "") -> Any:
        made = json.loads(flask.request.form["manifest"])
        code = secrets.token_hex(20)
        hub.store.add(
            "manifest",
            {"manifest": made, "owner": organisation, "until": hub.clock() + CODE_SECONDS},
            key=code,
        )
        back = urlencode({"code": code, "state": flask.request.args.get("state", "")})
        return flask.redirect(f"{made['redirect_url']}?{back}")

    return site


@route("POST", "/app-manifests/<code>/conversions")
def conversions(call: Call) -> Reply:
    """The App's credentials, once, within an hour."""
    found = call.hub.store.find("manifest", call.args["code"])
    if not found or found["until"] < call.hub.clock():
        raise not_found()
    call.hub.store.save({**found, "until": 0})
    made, app = found["manifest"], call.hub.app
    hook = made.get("hook_attributes") or {}
    if hook.get("active", True) and hook.get("url"):
        call.hub.set_webhook_url(hook["url"])
    return Reply(
        201,
        {
            **call.hub.shapes.app(),
            "client_secret": secrets.token_hex(20),
            "webhook_secret": app.webhook_secret if hook else None,
            "pem": app.private_key_pem,
        },
    )
