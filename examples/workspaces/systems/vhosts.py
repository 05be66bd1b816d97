"""A tenant's virtual host at the web server: its configuration, its front page, and the link that publishes it."""

from __future__ import annotations

import html
import json
import ssl
from pathlib import Path

from examples.workspaces import services
from examples.workspaces.files import link_whole, remove, write_whole
from examples.workspaces.models import Certificate, Site, VirtualHost, Workspace
from examples.workspaces.services.web import context_of, fetch, read_vhost
from examples.workspaces.settings import Settings
from examples.workspaces.systems.certificates import trust_file


class InvalidConfiguration(Exception):
    """The web server could not serve this host."""


def write(settings: Settings, slug: str, certificate: Certificate) -> VirtualHost:
    """Write the configuration, and read it back as the web server will. Raises InvalidConfiguration."""
    vhost = VirtualHost(
        host=certificate.host, root=str(settings.public_folder(slug)), certificate=certificate.certificate, key=certificate.key
    )
    path = settings.vhost_file(vhost.host)
    lines = [f"{name} = {json.dumps(value)}" for name, value in vhost.model_dump().items()]
    write_whole(path, "\n".join(["[server]", *lines, ""]).encode())
    validate(path, vhost)
    return vhost


def validate(path: Path, vhost: VirtualHost) -> None:
    """Check that the file says just this, and that the certificate and its key can be used. Raises InvalidConfiguration."""
    try:
        there = read_vhost(path)
        context_of(there)
    except (OSError, ValueError, KeyError, ssl.SSLError) as error:
        raise InvalidConfiguration(f"{path.name}: {error}") from error
    if there != vhost:
        raise InvalidConfiguration(f"{path.name} does not say what was written")


def find(settings: Settings, slug: str, certificate: Certificate) -> VirtualHost | None:
    """The virtual host, if its configuration is there and valid for this certificate."""
    path = settings.vhost_file(certificate.host)
    vhost = VirtualHost(
        host=certificate.host, root=str(settings.public_folder(slug)), certificate=certificate.certificate, key=certificate.key
    )
    try:
        validate(path, vhost)
    except InvalidConfiguration:
        return None
    return vhost


def publish(settings: Settings, workspace: Workspace, vhost: VirtualHost, *, pages: int) -> Site:
    """Put the front page in place, link the host in, and see that it answers over HTTPS. Raises OSError if it doesn't."""
    title = f"{workspace.company} is ready"
    write_whole(Path(vhost.root) / "index.html", _front_page(title, vhost.host, pages).encode())
    link_whole(settings.vhost_file(vhost.host, enabled=True), settings.vhost_file(vhost.host))
    if html.escape(title) not in visit(settings, vhost.host):
        raise OSError(f"https://{vhost.host}/ shows another page")
    return Site(host=vhost.host, title=title)


def visit(settings: Settings, host: str) -> str:
    """The host's front page, over HTTPS, checked against the local authority. Raises OSError."""
    return fetch(host, port=services.find(settings).https, authority=trust_file(settings))


def withdraw(settings: Settings, slug: str, host: str) -> None:
    """Take the host off the web server and remove its page; fine if it isn't there."""
    remove(settings.vhost_file(host, enabled=True))
    remove(settings.public_folder(slug))


def _front_page(title: str, host: str, pages: int) -> str:
    head, name = html.escape(title), html.escape(host)
    return (
        f"<!doctype html>\n<html lang='en'><meta charset='utf-8'><title>{head}</title>\n"
        f"<h1>{head}</h1>\n<p>This is {name}. {pages} pages are ready to be searched.</p>\n</html>\n"
    )
