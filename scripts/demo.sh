#!/usr/bin/env bash
# From a fresh clone to a story and a picture: installs what is needed, builds, and runs the models that ship.
# Arguments go to `lapilli run` (scripts/demo.sh -s 7 --device cpu).
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"

"$root/scripts/setup.sh" >&2
step "build" configure_and_build "$root/build" -DLAPILLI_TESTS=OFF -DLAPILLI_WERROR=OFF
"$root/build/lapilli" run -m "$root/models/story/story.gguf" -p "Once upon a time" \
    -n 0 --temp 0.8 "$@"
preview=()
[ ! -t 2 ] || preview=(--preview)
"$root/build/lapilli" image -p "a red apple" -s 1 -o "$root/build/red-apple.png" "${preview[@]}"
