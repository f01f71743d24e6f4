"""Value documents: arguments and results as data."""
