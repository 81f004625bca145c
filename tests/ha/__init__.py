"""Fail-over, tried with the files of deploy/ on machines that are namespaces of this one: `make test-ha`."""
