#!/usr/bin/env bash
# Measures whole sweeps with the binaries in bin, in units measured in the same run; see scripts/bench.
set -euo pipefail
cd "$(dirname "$0")/.."
exec go run ./scripts/bench sweep "$@"
