# shellcheck shell=bash disable=SC2034
# Sourced by demo.sh and test.sh: run a step quietly, show its log only when it fails.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
jobs=$(nproc)
step_log=$(mktemp)
trap 'rm -f "$step_log"' EXIT

# step LABEL COMMAND...: one line with the time it took; on failure the end of its log.
step()
{
    local label=$1 start=$SECONDS rc=0
    shift
    "$@" > "$step_log" 2>&1 || rc=$?
    if [ $rc = 0 ]; then
        echo "$label: ok ($((SECONDS - start)) s)" >&2
    else
        tail -n 60 "$step_log" >&2
        echo "$label: FAILED ($((SECONDS - start)) s)" >&2
    fi
    return $rc
}

# configure_and_build FOLDER CMAKE_OPTION...: a build folder of somebody else's path (a tree that
# was moved or copied) is started afresh.
configure_and_build()
{
    local dir=$1
    shift
    if [ -f "$dir/CMakeCache.txt" ] &&
        ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$root" "$dir/CMakeCache.txt"; then
        rm -rf "$dir"
    fi
    if command -v ccache > /dev/null; then export CMAKE_C_COMPILER_LAUNCHER=ccache; fi
    cmake -G Ninja -S "$root" -B "$dir" "$@" && cmake --build "$dir" -j "$jobs"
}
