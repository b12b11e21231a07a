"""What needs arrays: embedding texts, and scoring a day's papers against every probe at once."""
