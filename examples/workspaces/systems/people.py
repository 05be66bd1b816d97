"""The users in a tenant's own database."""

from __future__ import annotations

import hashlib
import hmac
import secrets

from sqlalchemy import Connection, text


def set_admin(connection: Connection, email: str, password: str) -> None:
    """Make the tenant's administrator; one that an earlier attempt made is replaced, its password nobody knows."""
    salt = secrets.token_hex(16)
    remove_admins(connection)
    connection.execute(
        text("INSERT INTO users (email, role, salt, hash) VALUES (:email, 'admin', :salt, :hash)"),
        {"email": email, "salt": salt, "hash": _hash(password, salt)},
    )


def remove_admins(connection: Connection) -> None:
    """Remove all administrators; fine if there is none."""
    connection.execute(text("DELETE FROM users WHERE role = 'admin'"))


def may_log_in(connection: Connection, email: str, password: str) -> bool:
    """Whether this is the user's password."""
    user = connection.execute(text("SELECT salt, hash FROM users WHERE email = :email"), {"email": email}).one_or_none()
    return user is not None and hmac.compare_digest(user.hash, _hash(password, user.salt))


def _hash(password: str, salt: str) -> str:
    return hashlib.scrypt(password.encode(), salt=bytes.fromhex(salt), n=2**14, r=8, p=1).hex()
