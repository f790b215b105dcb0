"""3CX v20: calls, events and sound by its Call Control API, and its CRM template."""
