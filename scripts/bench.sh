#!/usr/bin/env bash
# Measures cupid with the binaries in bin, each figure against a limit measured in the same run; see scripts/bench.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ $# = 0 ]; then
  CUPID_TEST_RESTARTS=10000 go test -count=1 -v -run TestRestartsLeaveNothing ./pkg/supervisor
fi
exec go run ./scripts/bench "$@"
