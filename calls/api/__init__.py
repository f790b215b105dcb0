"""The calls of a tenant over HTTP, for programs and for the portal's pages."""
