"""PocketSphinx in its own processes: it holds the interpreter's lock while it decodes."""
