#!/usr/bin/env bash
# The tests of the page want a Chromium, to be looked at, and an nginx, to stand behind. Take what is
# there; else Debian's, where that may be installed without asking; else say loudly what the tests
# will lack. Never fails.
set -u

has() { # PROGRAM...: whether one of them is there; nginx is where only root looks for programs
    PATH="$PATH:/usr/sbin:/sbin" command -v "$@" >/dev/null 2>&1
}
has_chromium() { has chromium chromium-browser google-chrome; }
has_nginx() { has nginx; }

install() { # PACKAGE
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 || return 0
    echo "Installing $1 from Debian for the tests of the page."
    # Nothing that Debian installs is to be started: the tests start their own.
    { apt-get update -qq && RUNLEVEL=1 apt-get install -qq -y --no-install-recommends "$1"; } \
        >/dev/null </dev/null || true
}

loud() { # WHAT HAPPENS, PACKAGE
    cat >&2 <<LOUD
================================================================================
 $1
 To mend that: sudo apt-get install $2
================================================================================
LOUD
}

export DEBIAN_FRONTEND=noninteractive
has_chromium || install chromium
has_nginx || install nginx-light
has_chromium || loud "NO CHROMIUM: the tests of the page in a browser will be SKIPPED." chromium
has_nginx || loud "NO NGINX: the tests of the page behind a reverse proxy will FAIL." nginx-light
exit 0
