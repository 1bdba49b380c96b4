"""Read models that must be the same after some calls as before them."""
from contextlib import contextmanager


@contextmanager
def untouched(server):
    """Runs its body between two digests of everything that can be read. Clients made before are of
    no use in it: the server restarts."""
    assert server.stop() == 0
    before = server.digests()
    yield server.start()
    assert server.stop() == 0
    assert server.digests() == before, "wrong input left a trace"
