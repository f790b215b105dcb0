"""Everything that changes a call."""
