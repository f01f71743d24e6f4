"""The fork server and its children, in which functions run."""
