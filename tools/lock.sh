#!/usr/bin/env bash
# Resolves pyproject.toml for every supported Python and platform into the two lock files, with hashes.
set -euo pipefail
command -v uv >/dev/null || { echo "bifrost: make lock needs uv on PATH. Install it: pip install uv" >&2; exit 1; }
compile=(uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-strip-extras pyproject.toml)
"${compile[@]}" --extra build --output-file requirements.lock
"${compile[@]}" --extra build --extra test --output-file requirements-test.lock
