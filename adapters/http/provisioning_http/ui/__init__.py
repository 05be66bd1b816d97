"""The status page: what is happening, in pictures and words, and buttons for what is allowed now. Works without scripts, too."""

from importlib.util import find_spec

from provisioning_core import MissingExtra

if find_spec("jinja2") is None:
    raise MissingExtra("http", "The status page")

from provisioning_http.ui._routes import PAGES, add_pages

__all__ = ["PAGES", "add_pages"]
