"""Passwords of users, as argon2id keeps them (RFC 9106): a hash takes a tenth of a second and 64 MiB, on purpose."""

import asyncio
from collections.abc import Iterator
from weakref import WeakKeyDictionary

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from ragstore.errors import FieldError

SHORTEST, LONGEST = 8, 1024  # characters, bytes
AT_ONCE = 2  # hashes of a process: so much memory, and a core or two, is what logins may take

hasher = PasswordHasher()
rooms: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


def check_password(path: str, password: str) -> Iterator[FieldError]:
    """No rule about what is in it: length is what counts (NIST SP 800-63B)."""
    if len(password) < SHORTEST:
        yield FieldError(path, f"must have at least {SHORTEST} characters")
    if len(password.encode("utf-8", "surrogatepass")) > LONGEST:
        yield FieldError(path, f"must not be longer than {LONGEST} bytes")


async def hash_password(password: str) -> str:
    """In a thread."""
    async with find_room():
        return await asyncio.to_thread(hasher.hash, encode(password))


async def verify_password(stored: str | None, password: str) -> bool:
    """In a thread. Takes as long for a user who is not there or has no password as for a wrong one."""
    async with find_room():
        return await asyncio.to_thread(compare, stored or make_nobodys(), password) and stored is not None


def is_outdated(stored: str) -> bool:
    """Whether today's hash would be stronger."""
    return hasher.check_needs_rehash(stored)


def compare(stored: str, password: str) -> bool:
    try:
        return hasher.verify(stored, encode(password))
    except (VerificationError, InvalidHashError):
        return False


def encode(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")


def make_nobodys() -> str:
    """What no password matches, with the cost of a real one."""
    salt, digest = "c29tZXNhbHRzb21lc2FsdA", "A" * 43
    return f"$argon2id$v=19$m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}${salt}${digest}"


def find_room() -> asyncio.Semaphore:
    return rooms.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(AT_ONCE))
