#!/usr/bin/env bash
# Makes .venv with a suitable Python and installs a lock file into it: tools/venv.sh LOCK STAMP
set -euo pipefail
lock=$1 stamp=$2

die() { printf 'bifrost: %s\n' "$1" >&2; exit 1; }

suitable() { # runs, and is 3.11, 3.12 or 3.13
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1
}

find_python() {
    local name
    for name in ${PYTHON:-python3 python3.13 python3.12 python3.11 python}; do
        if suitable "$name"; then echo "$name"; return; fi
    done
    die "no Python 3.11, 3.12 or 3.13 found as ${PYTHON:-python3, python3.13, python3.12 or python3.11}. Install one, or run make PYTHON=/path/to/python3"
}

if ! { suitable .venv/bin/python && .venv/bin/python -m pip --version >/dev/null 2>&1; }; then
    python=$(find_python)
    echo "Making .venv with $("$python" --version)"
    rm -rf .venv
    "$python" -m venv .venv || die "$python cannot make a virtual environment. On Debian and Ubuntu: apt-get install python3-venv"
fi

pip=(.venv/bin/python -m pip --disable-pip-version-check --no-input -qq) # warnings, too, are of no use to who only runs make
echo "Installing $lock"
# Most of what is installed is never imported: Python compiles what is.
"${pip[@]}" install --no-compile --require-hashes --no-deps -r "$lock" ||
    die "the packages of $lock cannot be installed. Check the network or pip's configuration, and run make again"
"${pip[@]}" install --no-deps --no-build-isolation -e . || die "the project itself cannot be installed"
touch "$stamp"
