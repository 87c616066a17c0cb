#!/usr/bin/env bash
# Runs every fuzz target of the tree for the time given, one after the other.
set -euo pipefail
cd "$(dirname "$0")/.."
log=$(mktemp)
trap 'rm -f "$log"' EXIT
fuzz() { go test -run '^$' -fuzz "^$2\$" -fuzztime "$3" "$1" 2>&1 | tee "$log"; }
for file in $(git ls-files '*_test.go' | xargs grep -l '^func Fuzz' | sort); do
  dir=$(dirname "$file")
  for target in $(sed -nE 's/^func (Fuzz[A-Za-z0-9_]*)\(.*/\1/p' "$file"); do
    echo "== ./$dir $target"
    fuzz "./$dir" "$target" "$1" && continue
    # The go command calls its own deadline a failure at times, as where the seeds alone take longer than that.
    if ! grep -q '^ *context deadline exceeded$' "$log" || grep -q 'Failing input' "$log"; then
      exit 1
    fi
    fuzz "./$dir" "$target" 1m
  done
done
