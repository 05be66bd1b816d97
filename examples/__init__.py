"""Runnable examples: four short ones, and ``workspaces``, a small backend that provisions real tenants."""
