"""The account that a machine without one of its own has at its simulated Telnyx."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

PORT = 5011  # where a server that is to be telephoned expects the simulated API
API_URL = f"http://127.0.0.1:{PORT}/v2"
API_KEY, CONNECTION_ID = "simulated", "1234567890"


def private_key_of(secret: str) -> Ed25519PrivateKey:
    """The key of the simulated Telnyx, which only who knows the installation's secret can have."""
    return Ed25519PrivateKey.from_private_bytes(
        hashlib.sha256(b"simulated telnyx|" + secret.encode()).digest()
    )


def keys(secret: str) -> Mapping[str, str]:
    """What that account's credentials are made of."""
    public = private_key_of(secret).public_key().public_bytes_raw()
    return {
        "api_key": API_KEY,
        "public_key": base64.b64encode(public).decode(),
        "connection_id": CONNECTION_ID,
    }
