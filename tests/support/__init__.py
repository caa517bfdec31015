"""Shared by several test files: small models and corpora, servers, browsers, child processes."""
