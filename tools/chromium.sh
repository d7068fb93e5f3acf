#!/usr/bin/env bash
# The page tests drive Debian's chromium: installs it by apt where no chromium is on PATH.
set -euo pipefail
for name in chromium chromium-browser google-chrome; do
    if command -v "$name" >/dev/null; then exit 0; fi
done

why="the page tests need chromium on PATH"
command -v apt-get >/dev/null || { echo "bifrost: $why, and there is no apt-get here. Install it" >&2; exit 1; }
sudo=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "bifrost: $why. As root: apt-get install chromium" >&2; exit 1; }
    sudo=(sudo -n)
fi
echo "Installing chromium"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
if ! { "${sudo[@]}" apt-get update -qq && "${sudo[@]}" apt-get install -y -qq --no-install-recommends chromium; } >"$log" 2>&1; then
    tail -n 3 "$log" >&2
    echo "bifrost: $why, and apt-get cannot install it. As root: apt-get install chromium" >&2
    exit 1
fi
