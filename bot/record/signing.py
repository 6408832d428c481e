"""The key that signs checkpoints: made, read, and its public part."""

import base64

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key


class NoKey(ValueError):
    """This is no Ed25519 key; the text never repeats it."""


def signing_key(text: str) -> Ed25519PrivateKey:
    """A PEM of PKCS #8, or 32 bytes in base64."""
    try:
        if text.lstrip().startswith("-----BEGIN"):
            key = load_pem_private_key(text.encode(), password=None)
        else:
            key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(text.strip(), validate=True))
    except (ValueError, TypeError):  # TypeError: the PEM wants a password
        raise NoKey("no Ed25519 private key") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise NoKey("no Ed25519 private key")
    return key


def public_part(key: Ed25519PrivateKey) -> str:
    """As the verifier takes it."""
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


def new_key() -> tuple[str, str]:
    """The private and the public part of a fresh key."""
    key = Ed25519PrivateKey.generate()
    return base64.b64encode(key.private_bytes_raw()).decode(), public_part(key)
