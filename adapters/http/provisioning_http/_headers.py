"""Headers that go with every answer that tells of runs."""

SAFE = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-site",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
"""Kept by no cache, taken for nothing else than it says, embedded by no other site, and inert when a browser opens it."""
