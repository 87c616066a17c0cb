#!/usr/bin/env bash
# Runs every fuzz target of the tree for the time given, one after the other.
set -euo pipefail
cd "$(dirname "$0")/.."
for file in $(git ls-files '*_test.go' | xargs grep -l '^func Fuzz' | sort); do
  dir=$(dirname "$file")
  for target in $(sed -nE 's/^func (Fuzz[A-Za-z0-9_]*)\(.*/\1/p' "$file"); do
    echo "== ./$dir $target"
    go test -run '^$' -fuzz "^$target\$" -fuzztime "$1" "./$dir"
  done
done
