"""What the steps do to the outside world, one function at a time."""

import ssl
import stat
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from examples.workspaces import faults
from examples.workspaces.models import Area, Database, Workspace
from examples.workspaces.services.mail import mails
from examples.workspaces.settings import Settings
from examples.workspaces.systems import billing, certificates, databases, mailing, people, storage, vhosts
from provisioning_core import MissingExtra, StepError

HOST = "acme.workspaces.localhost"
ACME = Workspace(slug="acme", company="Acme & Co", email="founder@acme.example")
PAGES = [("Inviting people", "Enter their addresses."), ("Billing", "Invoices come monthly.")]


def test_migrations_are_applied_once_however_often_they_are_asked_for(settings: Settings):
    made = databases.create(settings, "acme")
    for _ in range(2):
        with databases.connected(settings, made) as connection:
            assert databases.migrate(connection) == len(databases.MIGRATIONS)


def test_a_migration_that_breaks_off_leaves_the_database_at_its_old_version(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    made = databases.create(settings, "acme")
    with monkeypatch.context() as patch:
        patch.setattr(databases, "MIGRATIONS", (*databases.MIGRATIONS[:2], "ALTER TABLE missing ADD COLUMN at_all TEXT"))
        with pytest.raises(Exception, match="no such table"), databases.connected(settings, made) as connection:
            databases.migrate(connection)
    with databases.connected(settings, made) as connection:
        assert databases.version(connection) == 0
        assert databases.migrate(connection) == len(databases.MIGRATIONS)


def test_a_database_is_found_only_when_it_is_fully_migrated(settings: Settings):
    assert databases.find(settings, "acme") is None
    made = databases.create(settings, "acme")
    settings.database_file("acme").touch()
    assert databases.find(settings, "acme") is None
    with databases.connected(settings, made) as connection:
        databases.migrate(connection)
    assert databases.find(settings, "acme") == Database(kind="sqlite", name="acme")


def test_dropping_a_database_twice_is_fine(settings: Settings):
    with databases.connected(settings, databases.create(settings, "acme")) as connection:
        databases.migrate(connection)
    assert databases.exists(settings, "acme")
    databases.drop(settings, "acme")
    databases.drop(settings, "acme")
    assert not databases.exists(settings, "acme")


def test_two_tenants_never_share_a_name_in_sql():
    assert {databases.name_of("a-b"), databases.name_of("ab")} == {"tenant_a_b", "tenant_ab"}


def test_the_index_finds_words_in_other_forms_and_survives_being_built_twice(settings: Settings):
    with databases.connected(settings, databases.create(settings, "acme")) as connection:
        databases.migrate(connection)
        assert [databases.build_index(connection, PAGES) for _ in range(2)] == [2, 2]
        assert databases.search(connection, "invite") == ["Inviting people"]
        assert databases.search(connection, 'no"such OR') == []


def test_only_the_right_password_logs_in(settings: Settings):
    with databases.connected(settings, databases.create(settings, "acme")) as connection:
        databases.migrate(connection)
        people.set_admin(connection, ACME.email, "first")
        people.set_admin(connection, ACME.email, "second")
        assert [people.may_log_in(connection, ACME.email, word) for word in ("first", "second")] == [False, True]
        people.remove_admins(connection)
        assert not people.may_log_in(connection, ACME.email, "second")


def test_a_storage_area_is_made_found_and_removed(settings: Settings):
    area = Area(kind="folder", location=str(settings.storage_folder("acme")))
    assert storage.find(settings, "acme") is None
    assert [storage.create(settings, "acme") for _ in range(2)] == [area, area]
    assert storage.find(settings, "acme") == area
    storage.delete(settings, "acme")
    storage.delete(settings, "acme")
    assert storage.find(settings, "acme") is None


def test_s3_without_boto3_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(MissingExtra, match=r"object storage on S3 needs the extra 'examples'.*pip install"):
        storage.create(Settings(root=tmp_path, s3_endpoint="http://127.0.0.1:9"), "acme")


def test_a_certificate_is_found_only_for_its_own_host_and_with_its_own_key(settings: Settings):
    issued = certificates.issue(settings, "acme", HOST)
    assert certificates.find(settings, "acme", HOST) == issued
    assert certificates.find(settings, "acme", "globex.workspaces.localhost") is None
    other = certificates.issue(settings, "globex", "globex.workspaces.localhost")
    Path(issued.key).write_bytes(Path(other.key).read_bytes())
    assert certificates.find(settings, "acme", HOST) is None


def test_a_certificate_of_another_authority_is_not_taken_for_ours(settings: Settings):
    certificates.issue(settings, "acme", HOST)
    (settings.root / "ca" / "authority.pem").unlink()
    assert certificates.find(settings, "acme", HOST) is None


def test_private_keys_are_for_their_owner_alone(settings: Settings):
    settings.secrets_key()
    issued = certificates.issue(settings, "acme", HOST)
    private = [Path(issued.key), settings.root / "ca" / "authority.pem", settings.root / "secrets.key"]
    assert [oct(stat.S_IMODE(path.stat().st_mode)) for path in private] == ["0o600"] * 3
    assert len(settings.secrets_key()) == 32


def test_a_host_whose_key_does_not_fit_is_refused_before_it_is_published(settings: Settings):
    issued = certificates.issue(settings, "acme", HOST)
    Path(issued.key).write_text("no key")
    with pytest.raises(vhosts.InvalidConfiguration, match=rf"{HOST}\.toml: "):
        vhosts.write(settings, "acme", issued)
    assert vhosts.find(settings, "acme", issued) is None


def test_a_published_site_answers_over_https_until_it_is_withdrawn(settings: Settings):
    vhost = vhosts.write(settings, "acme", certificates.issue(settings, "acme", HOST))
    assert vhosts.publish(settings, ACME, vhost, pages=4).title == "Acme & Co is ready"
    assert "<h1>Acme &amp; Co is ready</h1>" in vhosts.visit(settings, HOST)
    vhosts.withdraw(settings, "acme", HOST)
    with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized.name"):
        vhosts.visit(settings, HOST)


def test_a_client_that_does_not_trust_the_authority_is_warned(settings: Settings):
    vhosts.publish(settings, ACME, vhosts.write(settings, "acme", certificates.issue(settings, "acme", HOST)), pages=4)
    (settings.root / "ca" / "authority.pem").unlink()
    (settings.root / "ca" / "ca.pem").unlink()
    with pytest.raises(ssl.SSLCertVerificationError):
        vhosts.visit(settings, HOST)


def test_billing_makes_one_customer_per_key(settings: Settings):
    first, second = (billing.create(settings, ACME, idempotency_key="run/billing/forward") for _ in range(2))
    assert first == second == billing.find(settings, "acme")
    other = ACME.model_copy(update={"email": "other@acme.example"})
    with pytest.raises(StepError, match="used for another customer") as refused:
        billing.create(settings, other, idempotency_key="run/billing/forward")
    assert not refused.value.retryable


def test_billing_can_be_told_to_fail_and_says_that_it_may_be_tried_again(settings: Settings):
    faults.inject(settings, {"billing": 1})
    with pytest.raises(StepError, match="503: billing is down") as refused:
        billing.create(settings, ACME, idempotency_key="key")
    assert refused.value.retryable
    assert billing.create(settings, ACME, idempotency_key="key") == billing.find(settings, "acme")


def test_customers_are_deleted_by_reference(settings: Settings):
    for key in ("one", "two"):
        billing.create(settings, ACME, idempotency_key=key)
    billing.create(settings, Workspace(slug="globex", company="Globex", email="a@b"), idempotency_key="three")
    billing.delete_all(settings, "acme")
    assert billing.find(settings, "acme") is None
    assert billing.find(settings, "globex") is not None


def test_a_mail_sent_twice_under_one_key_is_one_mail(settings: Settings):
    for key in ("one", "one", "two"):
        mailing.send(settings, to=ACME.email, subject=f"mail {key}", body="Hello", idempotency_key=key)
    assert [str(mail["Subject"]) for mail in mails(settings, ACME.email)] == ["mail one", "mail two"]


def test_a_secret_never_shows_in_a_database_model():
    assert "hunter2" not in repr(Database(kind="postgresql", name="t", role="t", password=SecretStr("hunter2")))
