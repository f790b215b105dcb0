"""One running call, and the process that has it on the line."""
