"""What receivers do: their name, how they reply, the status that is understood, and what is told of it."""

from __future__ import annotations

from webhook_receiver import ENDLESS, OK, Reply, bomb, closes, drips, floods, never, raw, resets, says

from provisioning_core.observers.webhooks._transport import KEPT

HEAD = b"HTTP/1.1 200 OK\r\n"
TOO_LATE, GARBAGE = "It did not answer within 0.6 s.", "Its answer was not understood ({})."
TWO_LENGTHS = HEAD + b"Content-Length: 5\r\nContent-Length: 7\r\n\r\nhello"

MISBEHAVIOUR: list[tuple[str, Reply, int | None, str | None]] = [
    ("takes it", raw(OK), 204, ""),
    ("says a little", says("200 OK", body=b"thanks"), 200, "thanks"),
    ("redirects to this host", says("301 Moved", "Location: http://127.0.0.1/admin"), 301, ""),
    ("redirects to the metadata", says("302 Found", "Location: http://169.254.169.254/latest"), 302, ""),
    ("redirects with the method kept", says("307 Temporary", "Location: http://10.0.0.1/"), 307, ""),
    ("does not understand", says("400 Bad Request", body=b"no"), 400, "no"),
    ("wants a password", says("401 Unauthorized", "WWW-Authenticate: Basic realm=x"), 401, ""),
    ("knows nothing", says("404 Not Found"), 404, ""),
    ("is in conflict", says("409 Conflict"), 409, ""),
    ("is gone", says("410 Gone"), 410, ""),
    ("is a teapot of its own", says("499 Nobody Knows"), 499, ""),
    ("broke", says("500 Oops", body=b"Traceback"), 500, "Traceback"),
    ("is behind a broken proxy", says("502 Bad Gateway"), 502, ""),
    ("is too slow for its proxy", says("504 Gateway Timeout"), 504, ""),
    ("never answers", never, None, TOO_LATE),
    ("drips its headers", drips(HEAD, b"X-Drop: 1\r\n"), None, TOO_LATE),
    ("drips one header's bytes", drips(HEAD + b"X-Slow: ", b"a"), None, TOO_LATE),
    ("goes on and on with 100", floods(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 99), None, "Its answer was too long."),
    ("drips its body", drips(HEAD + b"Content-Length: 99999\r\n\r\n", b"a"), 200, ""),
    ("drips its chunks", drips(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n"), 200, ""),
    ("never ends its body", floods(HEAD + b"\r\n", b"a" * ENDLESS), 200, "a" * KEPT),
    ("sends a billion bytes", floods(HEAD + b"Content-Length: 1000000000\r\n\r\n", b"b" * ENDLESS), 200, "b" * KEPT),
    ("sends headers without end", floods(HEAD, b"X-More: 1\r\n"), None, GARBAGE.format("HTTPException")),
    ("sends a header without end", floods(HEAD + b"X: ", b"a" * ENDLESS), None, GARBAGE.format("LineTooLong")),
    ("closes without a word", closes, None, "The connection broke (RemoteDisconnected)."),
    ("resets", resets, None, "The connection broke (ConnectionResetError)."),
    ("closes within its headers", raw(HEAD + b"X-Half"), 200, ""),
    ("says less than it promised", raw(HEAD + b"Content-Length: 100\r\n\r\nshort"), 200, ""),
    ("sends chunks of garbage", raw(HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nnot a chunk"), 200, ""),
    ("sends a negative chunk", raw(HEAD + b"Transfer-Encoding: chunked\r\n\r\n-5\r\nx\r\n"), 200, ""),
    (
        "sends two lengths",
        raw(HEAD + b"Content-Length: 5\r\nContent-Length: 7\r\n\r\nhello"),
        None,
        GARBAGE.format("InvalidHeader"),
    ),
    ("does not speak HTTP", raw(b"SSH-2.0-OpenSSH_9.9\r\n"), None, GARBAGE.format("BadStatusLine")),
    ("speaks HTTP of the last century", raw(b"<html>hello</html>"), None, GARBAGE.format("BadStatusLine")),
    ("has a status that is none", raw(b"HTTP/1.1 abc Hm\r\n\r\n"), None, GARBAGE.format("BadStatusLine")),
    ("has a status of four digits", raw(b"HTTP/1.1 2000 OK\r\n\r\n"), None, GARBAGE.format("BadStatusLine")),
    ("wants to speak something else", raw(b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n"), 101, ""),
    ("sends control characters", says("500 Oops", body=b"\x1b[31mred\x00\xff"), 500, "\ufffd[31mred\ufffd\ufffd"),
    ("packs a bomb", raw(bomb()), 200, None),
]
