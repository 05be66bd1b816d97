"""A product in a folder of its own, and its commands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from provisioning_cli import create_group

from tests.cli.product import Product

Cli = Callable[..., Result]


@pytest.fixture
def product(tmp_path: Path) -> Product:
    return Product(tmp_path)


@pytest.fixture
def cli(product: Product) -> Cli:
    """Runs one command of the product's own group."""
    group = create_group(product.engine)

    def run(*words: str, stdin: str | None = None) -> Result:
        return CliRunner().invoke(group, list(words), input=stdin)

    return run
