"""Keys that an issuer publishes and rotates, read over HTTP."""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from everlog.gateway.identity import TokenVerifier
from everlog.gateway.trust import JWKS_BYTES, REFRESH_S, UNKNOWN_KEY_S, PublishedKeys, fetching
from everlog.schemas.errors import ConfigurationError, UnauthenticatedError, UnavailableError


class Issuer:
    """Publishes keys on a port of its own, and counts how often it is asked."""

    def __init__(self) -> None:
        self.body, self.status, self.asked = b"", 200, 0
        issuer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked += 1
                self.send_response(issuer.status)
                self.end_headers()
                self.wfile.write(issuer.body)

            def log_message(self, *_: object) -> None: ...

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/keys"

    def publish(self, *keys: dict[str, Any]) -> None:
        self.body = json.dumps({"keys": keys}).encode()


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Signer:
    """A key pair of the issuer, by name."""

    def __init__(self, name: str, private: Any = None, algorithm: str = "EdDSA") -> None:
        self.name, self.algorithm = name, algorithm
        self.private = private if private is not None else ed25519.Ed25519PrivateKey.generate()

    @property
    def published(self) -> dict[str, Any]:
        document = jwt.get_algorithm_by_name(self.algorithm).to_jwk(self.private.public_key(), as_dict=True)
        return {**document, "kid": self.name, "alg": self.algorithm, "use": "sig"}

    def token(self, **claims: Any) -> str:
        now = int(time.time())
        usual = {"iss": "everlog", "aud": "everlog", "sub": "ada", "iat": now, "exp": now + 600, "jti": "t"}
        usual |= {"tenant": "acme", "role": "editor"}
        return jwt.encode(usual | claims, self.private, algorithm=self.algorithm, headers={"kid": self.name})


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    issuer = Issuer()
    thread = threading.Thread(target=issuer.server.serve_forever)
    thread.start()
    yield issuer
    issuer.server.shutdown()
    issuer.server.server_close()
    thread.join()


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient() as client:
        yield client


class Door:
    """A verifier that trusts what the issuer publishes."""

    def __init__(self, issuer: Issuer, client: httpx.AsyncClient, algorithms: list[str] | None = None) -> None:
        self.clock = Clock()
        algorithms = algorithms or ["EdDSA"]
        self.keys = PublishedKeys(fetching(issuer.url, client), algorithms, self.clock)
        self.verifier = TokenVerifier(
            self.keys, algorithms=algorithms, issuer="everlog", audience="everlog", leeway_s=0
        )

    async def takes(self, token: str) -> bool:
        try:
            return (await self.verifier.identify(f"Bearer {token}")).principal == "ada"
        except UnauthenticatedError:
            return False


@pytest.fixture
def door(issuer: Issuer, client: httpx.AsyncClient) -> Door:
    return Door(issuer, client)


async def test_a_token_of_a_published_key_is_taken_and_the_issuer_is_asked_once(issuer: Issuer, door: Door) -> None:
    first, second = Signer("first"), Signer("second")
    issuer.publish(first.published, second.published)
    for signer in (first, second, first):
        assert await door.takes(signer.token())
    assert issuer.asked == 1


async def test_a_new_key_is_learned_when_a_token_names_it(issuer: Issuer, door: Door) -> None:
    first, second = Signer("first"), Signer("second")
    issuer.publish(first.published)
    assert await door.takes(first.token())
    issuer.publish(first.published, second.published)
    door.clock.now_s += UNKNOWN_KEY_S
    assert await door.takes(second.token())
    assert issuer.asked == 2


async def test_names_that_are_made_up_do_not_make_the_gateway_ask_all_the_time(issuer: Issuer, door: Door) -> None:
    issuer.publish(Signer("first").published)
    for number in range(20):
        assert not await door.takes(Signer(f"made-up-{number}").token())
    assert issuer.asked == 1


async def test_a_withdrawn_key_is_trusted_no_longer_not_even_for_a_token_that_was_verified(
    issuer: Issuer, door: Door
) -> None:
    first, second = Signer("first"), Signer("second")
    issuer.publish(first.published, second.published)
    old = first.token()
    assert await door.takes(old)
    issuer.publish(second.published)
    door.clock.now_s += REFRESH_S
    assert not await door.takes(old)
    assert await door.takes(second.token())


async def test_another_key_under_the_same_name_is_another_key(issuer: Issuer, door: Door) -> None:
    first, usurper = Signer("key"), Signer("key")
    issuer.publish(first.published)
    old = first.token()
    assert await door.takes(old)
    issuer.publish(usurper.published)
    door.clock.now_s += REFRESH_S
    assert not await door.takes(old)
    assert await door.takes(usurper.token())


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"keys": 7}', b'{"keys": []}', b'{"keys": [7, {"kty": "?"}]}', b"x" * (JWKS_BYTES + 1)]
)
async def test_an_issuer_that_fails_leaves_the_last_keys_in_force(issuer: Issuer, door: Door, body: bytes) -> None:
    first = Signer("first")
    issuer.publish(first.published)
    assert await door.takes(first.token())
    for issuer.status, issuer.body in ((500, b""), (200, body)):
        door.clock.now_s += REFRESH_S
        assert await door.takes(first.token())
    assert issuer.asked == 3


async def test_while_no_key_was_ever_known_nobody_is_refused_for_good(issuer: Issuer, door: Door) -> None:
    issuer.status = 503
    with pytest.raises(UnavailableError, match="issuer"):
        await door.takes(Signer("first").token())


async def test_only_algorithms_of_the_settings_are_accepted(issuer: Issuer, client: httpx.AsyncClient) -> None:
    by_rsa = Signer("rsa", rsa.generate_private_key(65537, 2048), "RS256")
    by_curve = Signer("curve", ec.generate_private_key(ec.SECP256R1()), "ES256")
    edwards = Signer("edwards")
    issuer.publish(by_rsa.published, by_curve.published, edwards.published)
    strict, liberal = Door(issuer, client), Door(issuer, client, ["EdDSA", "ES256", "RS256"])
    assert [await strict.takes(signer.token()) for signer in (by_rsa, by_curve, edwards)] == [False, False, True]
    assert [await liberal.takes(signer.token()) for signer in (by_rsa, by_curve, edwards)] == [True, True, True]


async def test_a_published_secret_is_no_key(issuer: Issuer, door: Door) -> None:
    secret = {"kty": "oct", "kid": "secret", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA"}
    edwards = Signer("edwards")
    issuer.publish(secret, edwards.published, {**Signer("other").published, "use": "enc"})
    forged = jwt.encode(
        jwt.decode(edwards.token(), options={"verify_signature": False}),
        b"secret-secret-secret-secret-secret",
        algorithm="HS256",
        headers={"kid": "secret"},
    )
    assert not await door.takes(forged)
    assert await door.takes(edwards.token())
    assert not await door.keys.find("other")


@pytest.mark.parametrize("url", ["http://issuer.example/keys", "ftp://127.0.0.1/keys", "keys"])
async def test_keys_are_read_by_https_or_from_this_machine(url: str, client: httpx.AsyncClient) -> None:
    with pytest.raises(ConfigurationError, match="HTTPS"):
        fetching(url, client)
