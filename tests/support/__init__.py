"""What several test files share: small models and corpora, servers, browsers, child processes."""
