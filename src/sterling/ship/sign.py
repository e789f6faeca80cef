"""Ed25519 signatures over canonical JSON, and the key files they come from."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sterling.kernel.errors import InputError, UnreadableInput
from sterling.kernel.extras import need
from sterling.kernel.finding import Json
from sterling.sources.atomic import write_text, writing_to

ALGORITHM = "Ed25519"
# What is signed starts with these words, so that a signature on something else can never pass for a certificate's.
CONTEXT = b"sterling-certificate-v1\n"
MEND_KEY = "name an Ed25519 key in PEM form, or a file that is not there yet: one is made"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key.

    Args:
        raw: its 32 bytes; never shown.
        public: the 32 bytes of the public key.
        made: whether it was made just now.
    """

    raw: bytes = field(repr=False)
    public: bytes
    made: bool = False

    def sign(self, body: Json) -> bytes:
        """[64 bytes] the signature of the canonical form of a JSON value."""
        key = _ed25519().Ed25519PrivateKey.from_private_bytes(self.raw)
        return bytes(key.sign(CONTEXT + canonical(body)))

    def salt(self, about: str) -> bytes:
        """32 bytes that only the holder of the key can name, always the same for the same words."""
        return hmac.new(self.raw, b"sterling-salt-v1\n" + about.encode(), hashlib.sha256).digest()


def canonical(value: Json) -> bytes:
    """The one form in which a JSON value is signed: sorted keys, no white space, UTF-8, finite numbers.

    >>> canonical({"b": 0.5, "a": ["ü", None]}).decode()
    '{"a":["ü",null],"b":0.5}'
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "surrogatepass")


def is_signed(body: Json, *, signature: bytes, public: bytes) -> bool:
    """Whether the holder of the key signed exactly this value.

    Raises:
        MissingExtra: without the `cryptography` package.
    """
    invalid = need("cryptography.exceptions", extra="sign").InvalidSignature
    try:
        _ed25519().Ed25519PublicKey.from_public_bytes(public).verify(signature, CONTEXT + canonical(body))
    except (invalid, ValueError):
        return False
    return True


def fingerprint(public: bytes) -> str:
    """How people compare public keys: 16 groups of four hexadecimal digits.

    >>> fingerprint(bytes(32))[:14]
    '6668 7aad f862'
    """
    digits = hashlib.sha256(public).hexdigest()
    return " ".join(digits[i : i + 4] for i in range(0, 64, 4))


def open_key(path: Path) -> SigningKey:
    """The signing key in a file; a file that is not there is made, with the public key beside it as NAME.pub.

    Raises:
        MissingExtra: without the `cryptography` package.
        InputError: if the file holds something else, or cannot be made.
    """
    if not path.exists():
        made = _make(path)
        if made is not None:
            return made
    serialization, key = need("cryptography.hazmat.primitives.serialization", extra="sign"), None
    unsupported = need("cryptography.exceptions", extra="sign").UnsupportedAlgorithm
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except OSError as err:
        raise UnreadableInput(f"cannot read the key {path}: {err.strerror or err}", mend=MEND_KEY) from err
    except TypeError as err:
        raise InputError(f"the key {path} is locked by a password", mend=f"unlock it first, or {MEND_KEY}") from err
    except (ValueError, unsupported) as err:
        raise InputError(f"{path} holds no private key in PEM form", mend=MEND_KEY) from err
    if not isinstance(key, _ed25519().Ed25519PrivateKey):
        raise InputError(f"the key {path} is no Ed25519 key", mend=MEND_KEY)
    return SigningKey(key.private_bytes_raw(), key.public_key().public_bytes_raw())


def read_public_key(path: Path) -> bytes:
    """The 32 bytes of a public key in PEM form, or of the private key that holds it.

    Raises:
        MissingExtra: without the `cryptography` package.
        InputError: if the file holds no Ed25519 key.
    """
    mend = "name the .pub file that the owner of the benchmark gave you"
    serialization = need("cryptography.hazmat.primitives.serialization", extra="sign")
    unsupported = need("cryptography.exceptions", extra="sign").UnsupportedAlgorithm
    try:
        data = path.read_bytes()
    except OSError as err:
        raise UnreadableInput(f"cannot read the public key {path}: {err.strerror or err}", mend=mend) from err
    if b"PRIVATE KEY" in data:
        return open_key(path).public
    try:
        key = serialization.load_pem_public_key(data)
    except (ValueError, unsupported) as err:
        raise InputError(f"{path} holds no public key in PEM form", mend=mend) from err
    if not isinstance(key, _ed25519().Ed25519PublicKey):
        raise InputError(f"the key {path} is no Ed25519 key", mend=mend)
    return bytes(key.public_bytes_raw())


def _make(path: Path) -> SigningKey | None:
    """A new key in a new file that only its owner may read; None if another process made it meanwhile."""
    ser = need("cryptography.hazmat.primitives.serialization", extra="sign")
    key = _ed25519().Ed25519PrivateKey.generate()
    private = key.private_bytes(ser.Encoding.PEM, ser.PrivateFormat.PKCS8, ser.NoEncryption())
    public = key.public_key().public_bytes(ser.Encoding.PEM, ser.PublicFormat.SubjectPublicKeyInfo)
    with writing_to(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return None
        try:
            os.write(handle, private)
            os.fsync(handle)
        finally:
            os.close(handle)
    write_text(path.with_name(f"{path.name}.pub"), public.decode())
    return SigningKey(key.private_bytes_raw(), key.public_key().public_bytes_raw(), made=True)


def _ed25519() -> Any:
    return need("cryptography.hazmat.primitives.asymmetric.ed25519", extra="sign")
