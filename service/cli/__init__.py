"""The `paperboy` commands: one short function each, which calls one action."""
