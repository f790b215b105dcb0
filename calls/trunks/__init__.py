"""Standing connections to carriers that come to nobody: which process has which, and its work."""
