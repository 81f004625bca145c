"""The number of the product's release: it alone says which of two products is the newer (docs/decisions/0020)."""

RELEASE = 7
"""Raised with the first change of a migration or function after a release was published."""
