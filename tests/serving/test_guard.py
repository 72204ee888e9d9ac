"""Who may ask: what a browser sends when it was tricked, tokens, and the cookies that stand for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from conftest import Answer
from model_server import request, served

from lenext.errors import UserError
from lenext.serving.serve import listening, names_of

TOKEN = "a token+with & signs/of #all%20kinds?"


@pytest.fixture(scope="module")
def locked() -> Iterator[int]:
    """The port of a server that needs a token."""
    with served({}, token=TOKEN) as port:
        yield port


def cookie_of(port: int, **headers: str) -> tuple[str, str]:
    """Return name and value of the cookie that the token is exchanged for."""
    entered = request(port, f"/v1/models?token={quote(TOKEN, safe='')}", **headers)
    assert (entered.status, entered.headers["location"]) == (303, "/v1/models")
    name, _, value = entered.headers["set-cookie"].partition(";")[0].partition("=")
    return name, value


def test_an_origin_that_is_no_address_is_refused(port: int) -> None:
    for origin in ("http://[", "http://[x]", "http://", "//", "[", f"http://127.0.0.1:{port}/", "http://127.0.0.1:x"):
        found = request(port, "/v1/models", Origin=origin)
        assert (found.status, set(found.json)) == (403, {"error"}), origin
        assert "default-src 'none'" in found.headers["content-security-policy"]


def test_a_cookie_is_found_among_those_of_others(locked: int) -> None:
    name, value = cookie_of(locked)
    own = f"{name}={value}"
    for cookies in (own, f'prefs={{"a": 1}}; {own}', f'{own}; x="', f"a=b;{own} ;c", f"{name}=no; {own}", f"=; {own}"):
        assert request(locked, "/v1/models", Cookie=cookies).status == 200, cookies
    for cookies in (f"{name}=no", f"{name}", f"x{own}", f"{name}-1={value}", f"{name}={value}x", f"{name}={TOKEN}", ""):
        assert request(locked, "/v1/models", Cookie=cookies).status == 401, cookies


def test_a_cookie_holds_no_token_and_is_of_one_port(locked: int) -> None:
    name, value = cookie_of(locked)
    assert name.endswith(f"-{locked}")
    assert (
        len({name, *(cookie_of(locked, Host=host)[0] for host in ("localhost:1", "localhost", "localhost:x;y"))}) == 3
    )
    assert not {TOKEN, quote(TOKEN)} & {value}
    for wrong in (value, f"Bearer {value}"):
        assert request(locked, "/v1/models", Authorization=wrong).status == 401
    with served({}, token=TOKEN + "!") as other:
        assert request(other, "/v1/models", Cookie=f"{name.replace(str(locked), str(other))}={value}").status == 401


def test_words_of_all_alphabets_are_no_token(locked: int) -> None:
    for headers in ({"Authorization": "Bearer café-of-many-letters"}, {"Cookie": "é=é"}):
        assert request(locked, "/v1/models", **headers).status == 401
    assert request(locked, "/?token=%C3%A9%FF").status == 401


@pytest.mark.parametrize(
    "token", ["a-tökén-of-many-letters", "a-token-of-lines\n", " a-token-with-room ", "a-token\x00of-letters"]
)
def test_a_token_that_cannot_be_sent_is_refused_at_the_start(token: str) -> None:
    with pytest.raises(UserError, match="signs of ASCII"):
        listening("127.0.0.1", 0, token)


def test_probes_may_ask_by_address(locked: int) -> None:
    for path in ("/healthz", "/readyz"):
        assert request(locked, path, Host="10.1.2.3:8000").json == {"status": "ok"}
        assert request(locked, path, Host="10.1.2.3:8000", Origin="http://evil.example").status == 403
    for path in ("/v1/models", "/", "/metrics", "/healthz/x", "//healthz"):
        assert request(locked, path, Host="10.1.2.3:8000").status == 403


def test_names_are_taken_with_their_port_or_without() -> None:
    extra = ["box", "box.example:8000", "fe80::1", "[fe80::2]:80"]
    assert names_of("192.0.2.1", extra) == ["192.0.2.1", "box", "box.example", "[fe80::1]", "[fe80::2]"]
    assert "localhost" in names_of("0.0.0.0", [])
    with pytest.raises(UserError, match="is no name of a host"):
        names_of("127.0.0.1", ["http://box"])


@pytest.fixture
def told(
    command: Callable[..., Answer], digits_file: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., list[str]]:
    """Return a function that says what `lenext serve` tells when it is ready, at once."""
    import lenext.serving.serve as serving

    def ready_at_once(_models: object, *, ready: Callable[[], object], **_options: object) -> SimpleNamespace:
        return SimpleNamespace(run=lambda sockets: (ready(), [each.close() for each in sockets]))

    monkeypatch.setattr(serving, "make_server", ready_at_once)
    return lambda *words: command("serve", digits_file, "--port", "0", *words).err.splitlines()


def test_the_address_that_is_told_lets_people_in(told: Callable[..., list[str]], locked: int) -> None:
    first = told("--token", TOKEN)[0]
    address = urlsplit(first[first.index("http") :])
    assert parse_qs(address.query) == {"token": [TOKEN]}
    assert request(locked, f"{address.path}?{address.query}").status == 303


def test_it_is_told_how_other_machines_reach_it(told: Callable[..., list[str]]) -> None:
    everywhere = ("--host", "0.0.0.0", "--token", "a-token-of-many-letters")
    lines = told(*everywhere)
    assert "http://localhost:" in lines[0]
    assert "--allow-host NAME" in lines[-1]
    assert "http://box.example:" in told(*everywhere, "--allow-host", "box.example:80", "--allow-host", "box")[-1]
    assert len(told()) == 2
