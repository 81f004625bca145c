"""A clinic's day: who has come, and in what order they are called."""
