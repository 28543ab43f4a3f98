#!/usr/bin/env bash
# Installs what lapilli needs, and nothing that is already there. Asks nothing; as root or with sudo.
#
#   scripts/setup.sh          to build and run (scripts/demo.sh)
#   scripts/setup.sh --test   and for the tests: cmocka, spirv-val, SwiftShader
#   scripts/setup.sh --all    and for scripts/test.sh --all: clang, sanitizers, validation layers, RADV
#   scripts/setup.sh --amd    for scripts/amd-offline.sh: cmocka, RADV
#
# Debian 12's shader compiler and Mesa know no cooperative matrices: there, the suites trixie and
# trixie-backports are added from the mirror that the machine already uses, pinned so low (50) that
# nothing else moves. Ubuntu 24.04 lacks yyjson, which it gets from 26.04 in the same way. Debian 13
# serves as it is.
# shellcheck disable=SC2086 # lists of packages are words
set -euo pipefail

level=demo
case "${1:-}" in
"") ;;
--test) level="test" ;;
--all) level="all" ;;
--amd) level="amd" ;;
*)
    echo "usage: scripts/setup.sh [--test | --all | --amd]" >&2
    exit 2
    ;;
esac

export DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=a LC_ALL=C
log=$(mktemp)
trap 'rm -f "$log"' EXIT

say() { echo "setup: $*"; }
die()
{
    [ -s "$log" ] && tail -n 40 "$log" >&2
    echo "setup: $*" >&2
    exit 1
}

# --- What is needed --------------------------------------------------------------------------

# From the distribution's own suite, whichever it is.
base=(gcc libc6-dev cmake ninja-build pkg-config ca-certificates)
# New enough for all kernels; on Debian 12 from trixie.
new=(glslang-tools libvulkan-dev libvulkan-volk-dev libyyjson-dev libutf8proc-dev libpcre2-dev
    nettle-dev libstb-dev)
# Drivers; on Debian 12 from trixie-backports.
mesa=(mesa-vulkan-drivers)
if [ $level != demo ]; then
    base+=(jq)
    new+=(spirv-tools libcmocka-dev)
fi
if [ $level = all ]; then
    base+=(clang llvm libclang-rt-dev libomp-dev)
    new+=(vulkan-validationlayers)
fi

glslang_minimum=13 # the first with GL_KHR_cooperative_matrix
mesa_minimum=24    # the first whose lavapipe has VK_KHR_cooperative_matrix

# installed_version PACKAGE: empty if it is not installed.
installed_version()
{
    dpkg-query -W -f '${db:Status-Abbrev} ${Version}\n' "$1" 2> /dev/null | sed -n 's/^ii  *//p' | head -n 1
}

# missing PACKAGE...: those not installed.
missing()
{
    local p
    for p in "$@"; do
        [ -n "$(installed_version "$p")" ] || echo "$p"
    done
}

old() # PACKAGE MINIMUM: installed, but too old
{
    local v
    v=$(installed_version "$1")
    [ -n "$v" ] && dpkg --compare-versions "$v" lt "$2"
}

ubuntu() { grep -qs '^ID=ubuntu' /etc/os-release; }
drivers=${XDG_CACHE_HOME:-$HOME/.cache}/lapilli

# SwiftShader comes out of the browser's package; Ubuntu has that as a snap only.
need_swiftshader()
{
    [[ $level = test || $level = all ]] && [ ! -s "$drivers/swiftshader/vk_swiftshader_icd.json" ] &&
        ! ubuntu
}

# RADV that compiles without a GPU (RADV_FORCE_FAMILY) is Mesa 25.0's, of trixie; later ones want a
# simulated kernel driver for that.
need_radv()
{
    [[ $level = all || $level = amd ]] && [ ! -s "$drivers/radv/radeon_icd.json" ] && ! ubuntu
}

command -v dpkg-query > /dev/null || die "only Debian and Ubuntu are known here; see docs/BUILDING.md"

want=$(missing "${base[@]}" "${new[@]}" "${mesa[@]}")
if old glslang-tools $glslang_minimum; then want+=" glslang-tools"; fi
if [ -z "$want" ] && ! need_swiftshader && ! need_radv; then
    say "everything is installed"
    exit 0
fi

# --- apt -------------------------------------------------------------------------------------

sudo=()
if [ "$(id -u)" != 0 ]; then
    command -v sudo > /dev/null || die "needs root, or sudo, to install:" $want
    sudo -n true 2> /dev/null || die "sudo wants a password; run first: sudo scripts/setup.sh ${1:-}"
    sudo=(sudo -n env DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=a LC_ALL=C)
fi

apt=(apt-get -y -q -o DPkg::Lock::Timeout=600 -o Dpkg::Use-Pty=0 -o Acquire::Retries=3
    -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold)

# A broken repository of somebody else makes update fail; what counts is whether install works.
update()
{
    say "package lists"
    "${sudo[@]}" "${apt[@]}" update > "$log" 2>&1 || say "some package lists could not be fetched (continuing)"
}

install()
{
    "${sudo[@]}" "${apt[@]}" install --no-install-recommends "$@" >> "$log" 2>&1
}

candidate() # PACKAGE: the version that a plain install would take
{
    apt-cache policy "$1" 2> /dev/null | sed -n 's/^  Candidate: //p' | grep -v '(none)'
}

# The mirror of a suite, from whatever files configure it: how a distribution is known here, since
# /etc/os-release comes from a package that another suite may have upgraded.
# shellcheck disable=SC2016 # apt-get expands these
mirror_of()
{
    apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' 2> /dev/null |
        sed -n "s/^$1 //p" | sort -u | head -n 1
}

# add_suites NAME KEYRING MIRROR COMPONENT SUITE...: pinned at 50, so that nothing moves by itself.
add_suites()
{
    local name=$1 key="" mirror=$3 component=$4 suite
    local list=/etc/apt/sources.list.d/lapilli-$name.list
    [ -s "$2" ] && key="[signed-by=$2] "
    shift 4
    [ ! -s "$list" ] || return 0
    say "adding $*, pinned at 50"
    printf 'Package: *\nPin: release n=%s*\nPin-Priority: 50\n' "$name" |
        "${sudo[@]}" tee "/etc/apt/preferences.d/lapilli-$name" > /dev/null
    for suite in "$@"; do
        echo "deb $key$mirror $suite $component"
    done | "${sudo[@]}" tee "$list" > /dev/null
    update
}

update
newer=()
mesa_new=("${mesa[@]}")
mirror=$(mirror_of bookworm)
if [ -n "$mirror" ]; then # Debian 12
    add_suites trixie /usr/share/keyrings/debian-archive-keyring.gpg "$mirror" main \
        trixie trixie-backports
    newer=(-t trixie)
    for p in mesa-vulkan-drivers mesa-libgallium libgbm1 libegl-mesa0 libglx-mesa0 libgl1-mesa-dri; do
        if apt-cache madison "$p" | grep -q trixie-backports; then mesa_new+=("$p/trixie-backports"); fi
    done
fi
mirror=$(mirror_of noble)
if [ -n "$mirror" ] && [ -z "$(candidate libyyjson-dev)" ]; then # Ubuntu 24.04
    add_suites resolute /usr/share/keyrings/ubuntu-archive-keyring.gpg "$mirror" universe resolute
fi

# On a Debian 12 the compilers come from Debian 12 and the rest from trixie.
want=$(missing "${base[@]}")
if [ -n "$want" ]; then
    say "installing" $want
    # clang's runtime wants a libc6-i386 that fits libc6, and that may be trixie's by now.
    install $want || install $want libc6-i386/trixie || die "apt-get could not install:" $want
fi

want=$(missing "${new[@]}")
if old glslang-tools $glslang_minimum; then want+=" glslang-tools"; fi
if [ -n "$want" ]; then
    say "installing" $want
    install "${newer[@]}" $want || die "apt-get could not install:" $want
fi

want=$(missing "${mesa[@]}")
if [ -n "$want" ]; then
    say "installing ${mesa[*]}"
    install "${newer[@]}" "${mesa_new[@]}" || install "${newer[@]}" "${mesa[@]}" ||
        die "apt-get could not install: ${mesa[*]}"
fi
if old mesa-vulkan-drivers $mesa_minimum; then
    say "note: Mesa $(installed_version mesa-vulkan-drivers) has no cooperative matrices in lavapipe"
fi

# --- Drivers aside ---------------------------------------------------------------------------

# unpack_driver FOLDER LIBRARY MANIFEST PACKAGE...: these two files, out of the first package that has
# them. The package is not installed; its dependencies are, if the library misses something.
unpack_driver()
{
    local dir=$drivers/$1 library=$2 manifest=$3 tmp package
    shift 3
    tmp=$(mktemp -d)
    for package in "$@"; do
        rm -f "$tmp"/*.deb
        (cd "$tmp" && apt-get -q -o APT::Sandbox::User=root download "$package") >> "$log" 2>&1 || continue
        dpkg-deb --fsys-tarfile "$tmp"/*.deb | tar -C "$tmp" -x --wildcards "*/$library" "*/$manifest" \
            2>> "$log" || continue
        mkdir -p "$dir"
        find "$tmp" -name "$library" -exec cp {} "$dir" \;
        if ldd "$dir/$library" 2>&1 | grep -q 'not found'; then
            "${sudo[@]}" "${apt[@]}" satisfy --no-install-recommends "${newer[@]}" \
                "$(dpkg-deb -f "$tmp"/*.deb Depends)" >> "$log" 2>&1 || continue
        fi
        # The manifest comes last: it says that the driver is there.
        sed "s|\"library_path\": *\"[^\"]*\"|\"library_path\": \"$dir/$library\"|" \
            "$(find "$tmp" -name "$manifest" | head -n 1)" > "$dir/$manifest"
        rm -rf "$tmp"
        return 0
    done
    rm -rf "$tmp"
    return 1
}

if [[ $level = test || $level = all ]] && ubuntu; then
    say "no package carries SwiftShader on Ubuntu: its tests will be skipped"
fi
if [[ $level = all || $level = amd ]] && ubuntu; then
    say "Ubuntu has no RADV of Mesa 25.0: kernels cannot be compiled for AMD without a GPU here"
fi
if need_swiftshader; then
    if [ -z "$(candidate chromium-common)$(candidate chromium)" ]; then
        say "no package carries SwiftShader here: its tests will be skipped"
    else
        say "SwiftShader -> $drivers/swiftshader"
        unpack_driver swiftshader libvk_swiftshader.so vk_swiftshader_icd.json chromium-common chromium ||
            die "SwiftShader could not be unpacked out of chromium's package"
    fi
fi
if need_radv; then
    say "RADV -> $drivers/radv"
    unpack_driver radv libvulkan_radeon.so radeon_icd.json mesa-vulkan-drivers/trixie ||
        die "RADV could not be unpacked out of trixie's mesa-vulkan-drivers"
fi
say "done"
