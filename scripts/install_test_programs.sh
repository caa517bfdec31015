#!/usr/bin/env bash
# Programs that some tests want: a Chromium to look at the page, an nginx to stand in front of it.
#
#     bash scripts/install_test_programs.sh            install from Debian what is missing; needs root
#     bash scripts/install_test_programs.sh --check    name in one line what is missing
#
# It never fails: the tests of a program that is missing are skipped, with the reason.
set -u

has() { # PROGRAM...: one of them is there; Debian has nginx where only root looks for programs
    PATH="$PATH:/usr/sbin:/sbin" command -v "$@" >/dev/null 2>&1
}

missing() { # the Debian packages that are missing
    has chromium chromium-browser google-chrome || echo chromium
    has nginx || echo nginx-light
}

install() { # PACKAGE...
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 || return 0
    echo "Installing $* from Debian for the tests of the page."
    export DEBIAN_FRONTEND=noninteractive
    # Nothing that Debian installs is to be started: the tests start their own.
    { apt-get update -qq && RUNLEVEL=1 apt-get install -qq -y --no-install-recommends "$@"; } \
        >/dev/null </dev/null || true
}

mapfile -t packages < <(missing)
[ "${1:-}" = --check ] || [ ${#packages[@]} = 0 ] || install "${packages[@]}"
mapfile -t packages < <(missing)
[ ${#packages[@]} = 0 ] ||
    echo "Not installed here: ${packages[*]}. Their tests are skipped; \`make test-programs\` as root installs them." >&2
exit 0
