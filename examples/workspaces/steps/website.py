"""The tenant's certificate, virtual host and site."""

from __future__ import annotations

from examples.workspaces.files import remove
from examples.workspaces.models import Certificate, Site, Tenant, VirtualHost, Workspace
from examples.workspaces.rehearsal import note, rehearsed, undoing
from examples.workspaces.settings import Settings
from examples.workspaces.steps.content import index
from examples.workspaces.steps.foundation import storage, tenant
from examples.workspaces.steps.people import billing
from examples.workspaces.steps.policy import PATIENTLY, THREE_TIMES
from examples.workspaces.systems import certificates, vhosts
from provisioning_core import From, StepContext, step


@step(retry=THREE_TIMES)
def certificate(workspace: Workspace, ctx: StepContext, tenant: Tenant = From(tenant)) -> Certificate:
    """Have the local authority issue a TLS certificate for the tenant's host."""
    with rehearsed(ctx) as settings:
        issued = certificates.issue(settings, workspace.slug, tenant.host)
        ctx.record("certificate", issued.fingerprint, host=issued.host)
        return issued


@certificate.compensate(retry=PATIENTLY)
def delete_certificate(workspace: Workspace, ctx: StepContext) -> None:
    with undoing(ctx) as settings:
        remove(settings.tls_folder(workspace.slug))


@certificate.probe
def find_certificate(workspace: Workspace, ctx: StepContext, tenant: Tenant = From(tenant)) -> Certificate | None:
    settings = Settings.from_environment()
    found = certificates.find(settings, workspace.slug, tenant.host)
    note(settings, ctx, "found" if found else "missed")
    return found


@step(retry=THREE_TIMES)
def vhost(workspace: Workspace, ctx: StepContext, certificate: Certificate = From(certificate)) -> VirtualHost:
    """Write and validate the virtual host's configuration."""
    with rehearsed(ctx) as settings:
        written = vhosts.write(settings, workspace.slug, certificate)
        ctx.record("vhost", written.host)
        return written


@vhost.compensate(retry=PATIENTLY)
def delete_vhost(ctx: StepContext, tenant: Tenant = From(tenant)) -> None:
    with undoing(ctx) as settings:
        remove(settings.vhost_file(tenant.host))


@vhost.probe
def find_vhost(workspace: Workspace, ctx: StepContext, certificate: Certificate = From(certificate)) -> VirtualHost | None:
    settings = Settings.from_environment()
    found = vhosts.find(settings, workspace.slug, certificate)
    note(settings, ctx, "found" if found else "missed")
    return found


@step(needs=[storage, billing], retry=THREE_TIMES, timeout=60, user_message="Your site could not be published.")
def publish(workspace: Workspace, ctx: StepContext, vhost: VirtualHost = From(vhost), pages: int = From(index)) -> Site:
    """Publish the tenant's site and see that it answers over HTTPS."""
    with rehearsed(ctx) as settings:
        site = vhosts.publish(settings, workspace, vhost, pages=pages)
        ctx.record("site", site.host)
        return site


@publish.compensate(retry=PATIENTLY)
def withdraw_site(workspace: Workspace, ctx: StepContext, vhost: VirtualHost = From(vhost)) -> None:
    with undoing(ctx) as settings:
        vhosts.withdraw(settings, workspace.slug, vhost.host)
