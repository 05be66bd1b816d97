"""Forms that a browser posts with its cookies: only those that our own page showed are taken.

A browser sends a person's cookies with a form that somebody else's page posts. Two walls stand against that, and each would do:
the browser itself says where a request comes from (``Sec-Fetch-Site``, ``Origin``), and the form holds a token that only a page of
ours can have shown, since it is made from a secret in a cookie that no script and no other site can read.

For whoever renders forms::

    forms = Forms.of(request)                       # GET: before rendering
    ... <input type="hidden" name="csrf_token" value="{{ forms.token() }}"> ...
    forms.remember(response)                        # sets the cookie if this browser has none yet

    fields = await posted_form(request)             # POST: checked, and without the token; raises Refused

No key is configured and nothing is kept on the server, so it works with any number of processes. Send pages with
``Referrer-Policy: same-origin`` (with ``no-referrer`` browsers hide where a form comes from, and it is refused) and forms as
``application/x-www-form-urlencoded``. Scripts that call the JSON routes need no token: see :func:`refuse_foreign`.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from fastapi import Request, Response

from provisioning_http._problems import Refused
from provisioning_http._reading import read_bytes

FIELD = "csrf_token"
"""The name of the form's hidden field."""
COOKIE = "provisioning_forms"
"""Holds the browser's secret; over https its name begins with ``__Host-``, so that no sibling domain can set it."""
FORM = "application/x-www-form-urlencoded"
MAX_FIELDS = 100
_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")
_BY_ITSELF = ("basic", "digest", "negotiate", "ntlm")
"""Kinds of ``Authorization`` that a browser adds to requests without being told to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forms:
    """One browser's forms."""

    secret: str
    is_new: bool
    is_secure: bool

    @classmethod
    def of(cls, request: Request) -> Forms:
        """The browser that sent this request; one without a usable cookie gets a new secret."""
        is_secure = request.url.scheme == "https"
        known = request.cookies.get(_cookie(is_secure=is_secure), "")
        is_new = _SECRET.fullmatch(known) is None
        return cls(secret=secrets.token_urlsafe(32) if is_new else known, is_new=is_new, is_secure=is_secure)

    def token(self) -> str:
        """For the hidden field; another one at each call, so that compressed pages don't give it away."""
        salt = secrets.token_urlsafe(12)
        return f"{salt}.{self._sign(salt)}"

    def has_shown(self, token: str) -> bool:
        """Whether the token was made for this browser."""
        salt, _, signature = token.partition(".")
        return not self.is_new and hmac.compare_digest(signature.encode(), self._sign(salt).encode())

    def remember(self, response: Response) -> None:
        """Give the browser its secret, if it had none."""
        if self.is_new:
            name = _cookie(is_secure=self.is_secure)
            response.set_cookie(name, self.secret, path="/", secure=self.is_secure, httponly=True, samesite="lax")

    def _sign(self, salt: str) -> str:
        return hmac.new(self.secret.encode(), salt.encode("utf-8", "replace"), hashlib.sha256).hexdigest()


def _cookie(*, is_secure: bool) -> str:
    return f"__Host-{COOKIE}" if is_secure else COOKIE


async def posted_form(request: Request) -> dict[str, str]:
    """The fields of a form that a page of ours showed to this browser, without the token; of a field sent twice the last.

    Raises Refused: 403 (``foreign_form``) when it comes from elsewhere or has no token of this browser's, 413 when it is too large,
    415 when it is no urlencoded form, 400 when it can't be read.
    """
    if comes_from_elsewhere(request):
        raise _foreign()
    if _content_type(request) != FORM:
        raise Refused(415, "unsupported_media_type", "The form is not of a type that is understood here.", hint=f"Send {FORM}.")
    fields = _parsed(await read_bytes(request))
    if not Forms.of(request).has_shown(fields.pop(FIELD, "")):
        raise _foreign()
    return fields


def _parsed(data: bytes) -> dict[str, str]:
    try:
        return dict(parse_qsl(data.decode("utf-8"), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS))
    except ValueError:
        raise Refused(400, "malformed_body", "The form can't be read.") from None


def refuse_foreign(request: Request) -> None:
    """Raise Refused (403, ``foreign_form``) for a verb that another site's page may have sent with the browser's cookies.

    For routes that take JSON. What a page can't send elsewhere without the app's leave (CORS) is let through: a body of type
    ``application/json``, or an ``Authorization`` header that the browser does not add by itself.
    """
    is_simple = _content_type(request) != "application/json" and not _brings_its_own_authority(request)
    if request.method not in ("GET", "HEAD", "OPTIONS") and is_simple and comes_from_elsewhere(request):
        raise _foreign()


def comes_from_elsewhere(request: Request) -> bool:
    """Whether a browser says that the request comes from another site's page. What is no browser says nothing, and is believed."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin is not None and _host_of(origin) != request.headers.get("host", "").lower()


def _host_of(origin: str) -> str | None:
    """None for ``null``, and for what is no origin."""
    try:
        return urlsplit(origin).netloc.lower() or None
    except ValueError:
        return None


def _content_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _brings_its_own_authority(request: Request) -> bool:
    scheme = request.headers.get("authorization", "").partition(" ")[0].lower()
    return bool(scheme) and scheme not in _BY_ITSELF


def _foreign() -> Refused:
    hint = "Open the page again and send the form from there; it must be opened under the address that it is sent to."
    return Refused(403, "foreign_form", "This was not sent from a page of this service.", hint=hint)
