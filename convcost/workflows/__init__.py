"""The use cases: a source in, a report out."""
