"""Everything that reads calls."""
