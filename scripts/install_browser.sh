#!/usr/bin/env bash
# The tests of the page want a Chromium. Take the one that is there; else Debian's, where that may be
# installed without asking; else say loudly that those tests will be skipped. Never fails.
set -u

has_chromium() { command -v chromium chromium-browser google-chrome >/dev/null 2>&1; }

has_chromium && exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "Installing chromium from Debian for the tests of the page."
    export DEBIAN_FRONTEND=noninteractive
    { apt-get update -qq && apt-get install -qq -y --no-install-recommends chromium; } \
        >/dev/null </dev/null || true
fi

has_chromium || cat >&2 <<'LOUD'
================================================================================
 NO CHROMIUM: the tests of the page in a browser will be SKIPPED.
 To run them: sudo apt-get install chromium
================================================================================
LOUD
exit 0
