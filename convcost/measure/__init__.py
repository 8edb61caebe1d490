"""Runs ops and models, times them and compares them."""
