#!/usr/bin/env bash
# Is the installed package usable? package.sh install|cmake|pkgconfig|command BUILD SOURCE CC
# Installs BUILD into BUILD/package/prefix, builds examples/ against it in both ways that users
# have, and runs the result and the installed command.
set -euo pipefail

how=$1 build=$2 source=$3 cc=$4
out=$build/package
prefix=$out/prefix
libdir=$(dirname "$(find "$prefix" -name 'liblapilli.*' 2> /dev/null | head -n 1)" 2> /dev/null || true)
export LD_LIBRARY_PATH=$libdir PKG_CONFIG_PATH=$libdir/pkgconfig
model=$prefix/share/lapilli/models/story/story.gguf

generate() # PROGRAM: the example must write text
{
    local text
    text=$("$1" "$model" "Once upon a time")
    echo "$text"
    [ ${#text} -gt 20 ]
}

case $how in
install)
    rm -rf "$out"
    cmake --install "$build" --prefix "$prefix"
    test -f "$prefix/include/lapilli.h"
    ;;
cmake)
    rm -rf "$out/cmake"
    cmake -G Ninja -S "$source/examples" -B "$out/cmake" -DCMAKE_C_COMPILER="$cc" \
        -DCMAKE_PREFIX_PATH="$prefix"
    cmake --build "$out/cmake"
    generate "$out/cmake/generate"
    ;;
pkgconfig)
    # shellcheck disable=SC2046 # the flags are words
    "$cc" -std=c17 "$source/examples/generate.c" -o "$out/generate" \
        $(pkg-config --cflags --libs lapilli)
    generate "$out/generate"
    ;;
command)
    "$prefix/bin/lapilli" --version
    cd /
    "$prefix/bin/lapilli" run -p "Once upon a time" -n 8 --device cpu
    ;;
*)
    echo "unknown step $how" >&2
    exit 2
    ;;
esac
