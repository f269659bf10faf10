#!/usr/bin/env bash
# Builds the library for chips, for those who build firmware without cargo:
#
#     ./archives.sh                     all of them
#     ./archives.sh cortex-m33 rv32imc  some
#
# leaves lib/NAME/libcharlet.a, and the Arduino library in arduino/. It needs Rust's targets: rustup target add TARGET.
# CHARLET_CARGO is the command that builds, if it isn't cargo; CHARLET_FEATURES=f32 adds single precision.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

# Name, Rust's target, and the folders in which Arduino looks: the core's build.mcu, then its unit and convention.
ARCHIVES=(
    "cortex-m0plus thumbv6m-none-eabi          cortex-m0plus"
    "cortex-m4     thumbv7em-none-eabi         cortex-m4/fpv4-sp-d16-softfp cortex-m4"
    "cortex-m4f    thumbv7em-none-eabihf       cortex-m4/fpv4-sp-d16-hard"
    "cortex-m33    thumbv8m.main-none-eabihf   cortex-m33"
    "rv32imc       riscv32imc-unknown-none-elf esp32c3 esp32c6"
)

read -ra cargo <<<"${CHARLET_CARGO:-cargo}"
target_dir=${CARGO_TARGET_DIR:-$PWD/target}
wanted=" ${*:-all} "
found=""
for archive in "${ARCHIVES[@]}"; do
    read -r name target folders <<<"$archive"
    if [[ $wanted != *" $name "* && $wanted != " all " ]]; then continue; fi
    found=1
    # There is no shared library for a chip, as cargo says.
    "${cargo[@]}" build --quiet --release --locked --no-default-features --features "${CHARLET_FEATURES:-}" \
        --target "$target" --target-dir "$target_dir" 2> >(grep -vE 'dropping unsupported crate type|^$' >&2 || true)
    mkdir -p "lib/$name"
    cp "$target_dir/$target/release/libcharlet.a" "lib/$name/"
    for folder in $folders; do
        mkdir -p "arduino/src/$folder"
        cp "lib/$name/libcharlet.a" "arduino/src/$folder/"
    done
done
if [[ -z $found ]]; then
    echo "no such archive:$wanted" >&2
    exit 2
fi
cp include/charlet.h arduino/src/
