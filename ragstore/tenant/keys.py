"""API keys: 256 random bits, so a fast digest is safe; what is stored cannot be turned back into a key."""

import hashlib
import re
import secrets

GENERATED = re.compile(r"(rs_[A-Za-z0-9]{8})_[A-Za-z0-9_-]{43}")
CHOSEN = "chosen_"
PREFIX_ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789"


def make_key() -> str:
    """A new key such as `rs_x7Kp2mQz_…`: a prefix to find and recognise it by, and the secret."""
    prefix = "".join(secrets.choice(PREFIX_ALPHABET) for _ in range(8))
    return f"rs_{prefix}_{secrets.token_urlsafe(32)}"


def digest_key(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def is_chosen(prefix: str) -> bool:
    return prefix.startswith(CHOSEN)


def find_prefix(key: str) -> str:
    """The public part of a key; for one that somebody chose, part of its digest: to find it by, not to be shown."""
    if generated := GENERATED.fullmatch(key):
        return generated.group(1)
    return f"{CHOSEN}{digest_key(key).hex()[:16]}"
