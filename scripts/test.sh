#!/usr/bin/env bash
# Installs what is needed, builds with gcc, and runs all tests on the CPU, lavapipe and SwiftShader.
#
#   scripts/test.sh         the above
#   scripts/test.sh --all   and: clang with a shared library and planted faults, ASan+UBSan,
#                           lavapipe at 128 and 512 bits, validation layers, libFuzzer (FUZZ_SECONDS
#                           per target, default 10); a driver that is missing is a failure
#
# Everything is a ctest of one run, so the summary at the end covers it all.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"

all=no
case "${1:-}" in
"") ;;
--all) all=yes ;;
*)
    echo "usage: scripts/test.sh [--all]" >&2
    exit 2
    ;;
esac

extra=()
builds=""

# extra_build NAME CMAKE_OPTION...: a further configuration, in build/with-NAME, whose tests join the
# run. One that does not build shows up there as the failed test NAME.build.
extra_build()
{
    local name=$1 dir=$root/build/with-$1
    shift
    builds+="${builds:+;}$dir"
    # lavapipe keeps compiled shaders in the cache: what one build compiled serves the others.
    if ! step "build $name" configure_and_build "$dir" -DLAPILLI_TEST_PREFIX="$name." \
        -DLAPILLI_TEST_CACHE="$root/build/cache" "$@"; then
        mkdir -p "$dir"
        echo "add_test($name.build false)" > "$dir/CTestTestfile.cmake"
    fi
}

if [ $all = yes ]; then
    "$root/scripts/setup.sh" --all >&2
    # Ubuntu has no package with SwiftShader.
    grep -qs '^ID=ubuntu' /etc/os-release || extra+=(-DLAPILLI_REQUIRE_DRIVERS=ON)
    extra_build clang -DCMAKE_C_COMPILER=clang -DBUILD_SHARED_LIBS=ON \
        -DLAPILLI_FAULTS=ON -DLAPILLI_TEST_DRIVERS=cpu "${extra[@]}"
    extra_build sanitize -DCMAKE_C_COMPILER=clang -DLAPILLI_SANITIZE=ON -DCMAKE_C_FLAGS_RELEASE=-O2 \
        "-DLAPILLI_TEST_DRIVERS=cpu;lavapipe" "${extra[@]}"
    extra_build fuzz -DCMAKE_C_COMPILER=clang -DLAPILLI_FUZZ=ON -DLAPILLI_TESTS=OFF \
        -DLAPILLI_CLI=OFF -DCMAKE_C_FLAGS_RELEASE=-O1 -DLAPILLI_FUZZ_SECONDS="${FUZZ_SECONDS:-10}"
    extra+=(-DLAPILLI_TEST_ALL=ON)
else
    "$root/scripts/setup.sh" --test >&2
    extra+=(-DLAPILLI_TEST_ALL=OFF -DLAPILLI_REQUIRE_DRIVERS=OFF)
fi
step "build gcc" configure_and_build "$root/build" -DCMAKE_C_COMPILER=gcc -DLAPILLI_TESTS=ON \
    -DLAPILLI_WERROR=ON -DLAPILLI_TEST_BUILDS="$builds" "${extra[@]}"

log=$root/build/ctest.log rc=0
ctest --test-dir "$root/build" -j "$jobs" --output-on-failure --no-tests=error --no-label-summary |
    tee "$log" || rc=$?
if [ $all = yes ]; then
    # What lapilli check made of planted faults, per driver; the cross-driver matrix; the summary
    # again, so that it is the last thing.
    awk '$2 == "Testing:" { test = $3 } test ~ /fault_check/ && / (caught|MISSED|cannot be)/ {
            if (test != shown) print "\n" test; shown = test; print "  " $0 }' \
        "$root/build/Testing/Temporary/LastTest.log"
    echo
    "$root/scripts/matrix.sh" "$root/build" || rc=1
    sed -n '/tests passed, /,$p' "$log"
fi
exit $rc
