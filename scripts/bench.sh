#!/usr/bin/env bash
# Measures cupid with the binaries in bin, each figure against a limit measured in the same run; see scripts/bench.
set -euo pipefail
cd "$(dirname "$0")/.."
exec go run ./scripts/bench "$@"
