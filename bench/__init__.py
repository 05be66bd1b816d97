"""Measures this project beside its peers and beside the limit; see README.md here. Not part of the library, nor of its tests."""
