"""A stand-in for Hugging Face's sign-in (OpenID Connect): every visitor is signed in as `me`.

with SignInProvider(access_token="hf_...") as provider:
    provider.url     # OPENID_PROVIDER_URL of a Space
"""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT_ID, CLIENT_SECRET = "space", "secret of the Space"
USER = {"sub": "1", "name": "Me", "preferred_username": "me", "profile": "", "picture": ""}


class SignInProvider:
    """Serve on a free port of 127.0.0.1 while the `with` block lasts."""

    def __init__(self, access_token: str):
        self.access_token, self.key = access_token, RSAKey.generate_key(2048, {"kid": "1"})
        self.nonces: dict[str, str] = {}  # code -> the nonce of its request
        provider = self

        class Handler(_Handler):
            serves = provider

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def discovery(self) -> dict[str, object]:
        """Return the provider's OpenID configuration."""
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/jwks",
            "id_token_signing_alg_values_supported": ["RS256"],
        }

    def token(self, code: str) -> dict[str, object]:
        """Exchange a code for the access token and a signed id token."""
        now = int(time.time())
        about = {"iss": self.url, "aud": CLIENT_ID, "iat": now, "exp": now + 3600}
        claims = about | USER | {"nonce": self.nonces.pop(code)}
        return {
            "access_token": self.access_token,
            "token_type": "bearer",
            "expires_in": 3600,
            "scope": "openid profile read-repos",
            "id_token": jwt.encode({"alg": "RS256", "kid": "1"}, claims, self.key),
        }


class _Handler(BaseHTTPRequestHandler):
    serves: SignInProvider

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if url.path == "/authorize":
            code = f"code{len(self.serves.nonces)}"
            self.serves.nonces[code] = query["nonce"]
            joined = "&" if "?" in query["redirect_uri"] else "?"
            back = urlencode({"code": code, "state": query["state"]})
            self.send_response(302)
            self.send_header("Location", f"{query['redirect_uri']}{joined}{back}")
            self.end_headers()
        elif url.path == "/jwks":
            self._reply({"keys": [self.serves.key.as_dict(private=False)]})
        else:
            self._reply(self.serves.discovery())

    def do_POST(self) -> None:
        body = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self._reply(self.serves.token(body["code"][0]))

    def _reply(self, content: dict[str, object]) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass
