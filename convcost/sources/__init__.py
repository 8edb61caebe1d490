"""From text to a graph, and from saved reports back to reports."""
