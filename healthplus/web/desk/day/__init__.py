"""A clinic's day at the desk."""
