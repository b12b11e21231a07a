"""Readers of the files in which people keep references: BibTeX, RIS, CSL-JSON, lists."""
