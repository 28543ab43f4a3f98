#!/usr/bin/env bash
# Compiles every kernel for AMD GPUs without having one, by RADV of Mesa 25.0, and prints what the
# compiler made of them: a row per kernel (docs/AMD.md says what the columns mean). Fails if one does
# not compile or spills registers.
#
#   scripts/amd-offline.sh                        all families
#   scripts/amd-offline.sh --pipelines navi31     one family; a row per pipeline
#   scripts/amd-offline.sh --write                and writes docs/AMD.md
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"

usage()
{
    echo "usage: scripts/amd-offline.sh [--pipelines] [vega10 | navi21 | navi31 | gfx1201]...
       scripts/amd-offline.sh --write" >&2
    exit 2
}

write=no
options=()
families=()
for argument in "$@"; do
    case $argument in
    --write) write=yes ;;
    --pipelines) options=(--pipelines) ;;
    vega10 | navi21 | navi31 | gfx1201) families+=("$argument") ;;
    *) usage ;;
    esac
done
if [ $write = yes ] && [ ${#options[@]}${#families[@]} != 00 ]; then usage; fi
if [ ${#families[@]} = 0 ]; then families=(vega10 navi21 navi31 gfx1201); fi

"$root/scripts/setup.sh" --amd >&2
icd=${XDG_CACHE_HOME:-$HOME/.cache}/lapilli/radv/radeon_icd.json
if [ ! -s "$icd" ]; then
    echo "amd-offline: RADV of Mesa 25.0 is not available here; Debian 12 and 13 have it" >&2
    exit 1
fi
step "build" configure_and_build "$root/build" -DLAPILLI_TESTS=ON

title()
{
    case $1 in
    vega10) echo "vega10: Radeon RX Vega (GCN 5)" ;;
    navi21) echo "navi21: Radeon RX 6800, 6900 (RDNA 2)" ;;
    navi31) echo "navi31: Radeon RX 7900 (RDNA 3)" ;;
    gfx1201) echo "gfx1201: Radeon RX 9070 (RDNA 4)" ;;
    esac
}

work=$(mktemp -d)
trap 'rm -rf "$step_log" "$work"' EXIT
failed=no
for family in "${families[@]}"; do
    VK_DRIVER_FILES=$icd RADV_FORCE_FAMILY=$family XDG_CACHE_HOME=$root/build/cache \
        "$root/build/tests/amd_offline" "${options[@]}" > "$work/table" 2> "$work/errors" || failed=yes
    { printf '\n## %s\n\n' "$(title "$family")" && cat "$work/table"; } | tee -a "$work/tables"
    # RADV finds it strange to have no hardware.
    grep -v -e 'invalid pci bus info' -e 'not a conformant' "$work/errors" >&2 || true
done

if [ $failed = yes ]; then
    echo "amd-offline: FAILED" >&2
    exit 1
fi
if [ $write = yes ]; then
    cat - "$work/tables" > "$root/docs/AMD.md" << 'EOF'
# What AMD's GPUs would run

`scripts/amd-offline.sh` compiles lapilli's kernels for four generations of AMD GPUs with RADV, the
driver that Linux uses for them, on a machine that has none: the driver's compiler needs no hardware.
This shows that every kernel compiles, how many registers and how much memory it takes, and that
nothing is spilled. It says nothing about speed or about the numbers that come out. In
`scripts/test.sh --all` it is the tests `amd-offline.vega10` and so on, which fail on the first
spilled register.

It takes RADV of Mesa 25.0, because later versions no longer pose as a chosen GPU
(`RADV_FORCE_FAMILY`) without a simulated kernel driver. It does not offer the matrix units of RDNA 4
yet.

A pipeline is a kernel with its specialization constants, as plans ask for it: plans of every case
of the op table, of the test models and the one that ships, and of the shapes of GPT-2, TinyLlama and
Llama 3 8B in every weight type, for 1 to 512 tokens. Each is also planned as if the device lacked
one thing that kernels may need, and as if it lacked them all, so that the kernels which it would not
choose by itself are compiled as well. Kernels that run alone, in `lapilli doctor` and the tests, are
compiled for workgroups of 128. (Not among them: `attention_rows`, for CPU implementations of Vulkan.)

| Column | Meaning, smallest and largest of the kernel's pipelines |
|---|---|
| VGPRs | vector registers of an invocation, out of 256; subgroups of 64 get them in steps of 4 on GCN, 8 on RDNA 2, 12 on RDNA 3 and 4 |
| SGPRs | scalar registers of a subgroup; always 128 on RDNA |
| spilled | registers of either kind that lie in memory instead: must be 0 |
| scratch | bytes of such memory per subgroup: must be 0 |
| LDS KiB | shared memory of a workgroup |
| code KiB | machine code; the instruction cache holds 32 |
| waves | subgroups that a SIMD unit holds at a time, limited by registers and shared memory; the hardware's own limit is 10 on GCN and 16 on RDNA. RADV counts places for 32 invocations on RDNA; here a subgroup of 64 counts once |
| latency | cycles of one subgroup's way through the code as the compiler estimates them, by its own guess of how often loops run: only for comparing variants of one kernel |

This page is written by `scripts/amd-offline.sh --write`; `--pipelines` prints a row per pipeline.
EOF
    echo "amd-offline: wrote docs/AMD.md" >&2
fi
