"""Read models that must be the same after some calls as before them."""
from contextlib import contextmanager


def digests(server):
    """But for the Merkle tree: it is the log's, where decisions against a command stand too."""
    return {place: digest for place, digest in server.digests().items() if place[1] != "tree"}


@contextmanager
def untouched(server):
    """Runs its body between two digests of everything that can be read. Clients made before are of
    no use in it: the server restarts."""
    assert server.stop() == 0
    before = digests(server)
    yield server.start()
    assert server.stop() == 0
    assert digests(server) == before, "wrong input left a trace"
