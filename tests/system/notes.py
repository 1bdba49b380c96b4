"""C2SP signed notes and checkpoints, read by their specifications alone: no word of ours in it."""
import base64
import hashlib

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


class Checkpoint:
    def __init__(self, note, vkey):
        """Raises if the note is not signed by the key."""
        name, key_id, key = vkey.split("+", 2)
        key = base64.b64decode(key, validate=True)
        assert key[0] == 1 and len(key) == 33
        assert hashlib.sha256(name.encode() + b"\n" + key).digest()[:4].hex() == key_id
        text, signatures = note.rsplit("\n\n", 1)
        text += "\n"
        self.signed = False
        for line in signatures.splitlines():
            dash, signer, signature = line.split(" ")
            assert dash == "—"
            signature = base64.b64decode(signature, validate=True)
            if signer == name and signature[:4].hex() == key_id:
                Ed25519PublicKey.from_public_bytes(key[1:]).verify(signature[4:], text.encode())
                self.signed = True
        if not self.signed:
            raise InvalidSignature("no signature by the key")
        lines = text.splitlines()
        self.origin, self.size = lines[0], int(lines[1])
        self.root = base64.b64decode(lines[2], validate=True)
        self.extensions = lines[3:]
        assert self.origin == name and len(self.root) == 32
