"""`paperboy …`: one short function per command, each calls one action."""
