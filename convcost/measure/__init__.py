"""Runs ops and models, times them and compares them. Only ``settings`` is free of torch."""
