"""Tasks that go on without a manager: how they are started, recorded and fetched."""
