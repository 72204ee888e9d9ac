"""`Guard`: who may ask. It stands before the application, and turns away what a browser was tricked into sending."""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from urllib.parse import parse_qs, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lenext.serving.refusal import RefusalError

OPEN = ("/healthz", "/readyz")  # that need no token and no name, so that a probe may ask by address; they tell nothing
COOKIE = "lenext-token"
LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class Guard:
    """An application that answers only those who may ask.

    - `Host` must be one of `hosts`, the names that the server is reached by: a page of another site may have its own
      name lead to this machine, and would then be of the same origin. `OPEN` is answered whatever the name.
    - `Origin`, where there is one, must be this server, and a browser must not say that another site asks.
    - With a `token`, everything but `OPEN` needs it: as `Authorization: Bearer`, or as the cookie that a browser is
      given for `/?token=...`, which holds no token but what only who knows it can make: browsers send a cookie to
      every port of a host.
    """

    def __init__(self, app: ASGIApp, *, hosts: Iterable[str], token: str | None) -> None:
        self.app, self.token = app, token
        self.pass_value = "" if token is None else hmac.new(token.encode(), b"cookie", "sha256").hexdigest()
        self.hosts = frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let the application answer, with headers that keep browsers from doing more than they should."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        headers = Headers(scope=scope)
        try:
            self._require_host(headers, scope)
            entered = self._entering(scope, headers)
            if entered is None:
                self._require_token(scope, headers)
        except RefusalError as refusal:
            await refusal.response()(scope, receive, guarded)
            return
        await (entered or self.app)(scope, receive, guarded)

    def _require_host(self, headers: Headers, scope: Scope) -> None:
        """Raise RefusalError where a request was meant for another host, or comes from another site."""
        hosts = headers.getlist("host")
        if len(hosts) != 1:
            raise RefusalError(400, f"a request has one Host, and this one {len(hosts)}")
        host = hosts[0].lower()
        name = without_port(host)
        if name not in self.hosts and scope["path"] not in OPEN:
            raise RefusalError(403, f"this server is not called {name[:100]!r}; --allow-host names another")
        for origin in headers.getlist("origin"):
            if origin.lower().partition("://")[2] != host:
                raise RefusalError(403, f"a page of {origin[:100]!r} may not ask here")
        link = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
        followed = link and scope["method"] == "GET"  # by a person, to whom alone the page is shown
        if headers.get("sec-fetch-site", "none") not in ("same-origin", "none") and not followed:
            raise RefusalError(403, "a page of another site may not ask here")

    def _entering(self, scope: Scope, headers: Headers) -> Response | None:
        """Return the answer to a browser that brings the right token in the address: a cookie, and the same page."""
        if self.token is None or scope["method"] != "GET" or b"token=" not in scope["query_string"]:
            return None
        query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        if not self._is_token(query.pop("token", [""])[-1]):
            raise RefusalError(401, "that is not the token", {"WWW-Authenticate": "Bearer"})
        rest = f"?{urlencode(query, doseq=True)}" if query else ""
        response = RedirectResponse("/" + scope["path"].lstrip("/") + rest, 303)
        # Not strict: a browser that came by a link on another site's page would not send it when it is sent on.
        response.set_cookie(_cookie_name(headers), self.pass_value, httponly=True, samesite="lax")
        return response

    def _require_token(self, scope: Scope, headers: Headers) -> None:
        if self.token is None or scope["path"] in OPEN:
            return
        kind, _, given = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and self._is_token(given.strip()):
            return
        name = _cookie_name(headers)
        for pair in ";".join(headers.getlist("cookie")).split(";"):
            key, _, value = pair.strip().partition("=")
            if key == name and hmac.compare_digest(value.encode(), self.pass_value.encode()):
                return
        raise RefusalError(
            401, "this server needs its token: Authorization: Bearer TOKEN, or /?token=TOKEN in a browser",
            {"WWW-Authenticate": "Bearer"},
        )  # fmt: skip

    def _is_token(self, given: str) -> bool:
        """Compare in a time that does not depend on how much of it is right."""
        assert self.token is not None
        return hmac.compare_digest(given.encode("utf-8", "replace"), self.token.encode())


def without_port(host: str) -> str:
    """Return the name in a `Host`: `name`, `name:8000`, `[::1]` or `[::1]:8000`."""
    return host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host


def _cookie_name(headers: Headers) -> str:
    """Return what the cookie is called: by port, so that servers beside each other leave each other's alone."""
    host = headers["host"]
    port = host[len(without_port(host)) + 1 :]
    return f"{COOKIE}-{port}" if port.isdecimal() else COOKIE
