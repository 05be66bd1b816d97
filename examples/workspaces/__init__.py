"""A small SaaS backend that brings a tenant on board for real: database, storage, certificate, site, billing, mail.

``python -m examples.workspaces demo`` shows it; README.md beside this file tells the rest.
"""

from examples.workspaces.backend import engine

__all__ = ["engine"]
