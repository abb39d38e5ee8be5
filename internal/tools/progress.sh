#!/usr/bin/env bash
# Copyright The Firebreak Authors
# SPDX-License-Identifier: Apache-2.0
#
# Shortens what a long Go build says to a line now and then. Reads, from `go list -deps` with "dep "
# before each line, how many packages there are; from `go build -v`, which are done; and passes on
# whatever else is said, such as errors.
set -euo pipefail

total=0 built=0 fetched=0 said=$SECONDS
while IFS= read -r line; do
	case $line in
	"dep "*) total=$((total + 1)) ;;
	"go: downloading "*) fetched=$((fetched + 1)) ;;
	*" "* | "#"* | "") printf '%s\n' "$line" ;;
	*) built=$((built + 1)) ;;
	esac
	if ((SECONDS - said >= 5)); then
		said=$SECONDS
		printf '  %3d s: %d modules fetched, %d of %d packages built\n' "$SECONDS" "$fetched" "$built" "$total"
	fi
done
if ((built > 0)); then
	printf '  %3d s: built %d packages\n' "$SECONDS" "$built"
fi
