"""The siege: `make siege`. See __main__.py."""
