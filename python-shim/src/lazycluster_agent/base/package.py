"""The name by which our modules go on a host, also in handles on its disk."""

PACKAGE = "lazycluster_agent"
