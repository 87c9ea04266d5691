#!/usr/bin/env bash
#
# scripts/fuzz.sh [seconds [target…]]    fuzzes every target of fuzz/, or those given, for so many seconds (10)
# scripts/fuzz.sh target file…           runs inputs again, such as fuzz/artifacts/<target>/crash-…
#
# Wants the stable toolchain and a C++ compiler, and no cargo-fuzz. SANITIZER=address adds AddressSanitizer.
#
# A run starts from fuzz/seeds/<target> and keeps what reaches more code in fuzz/corpus/<target>. What breaks a promise
# ends it, and lies in fuzz/artifacts/<target>.

set -euo pipefail
cd "$(dirname "$0")/../fuzz"

readonly SANITIZER=${SANITIZER:-none}
HOST=$(rustc -vV | sed -n 's/^host: //p')
readonly HOST

# What `cargo fuzz` would pass to the compiler.
flags=(
  --cfg fuzzing
  -Cdebug-assertions
  -Ccodegen-units=1
  -Cpasses=sancov-module
  -Cllvm-args=-sanitizer-coverage-level=4
  -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
  -Cllvm-args=-sanitizer-coverage-pc-table
  -Cllvm-args=-sanitizer-coverage-trace-compares
  -Cllvm-args=-simplifycfg-branch-fold-threshold=0
)
if [ "$SANITIZER" != none ]; then
  # Its runtime comes with the stable toolchain, the switch for it does not.
  export RUSTC_BOOTSTRAP=1
  flags+=("-Zsanitizer=$SANITIZER")
fi

# With --target, build scripts and macros are built without the flags.
RUSTFLAGS="${flags[*]}" cargo build --locked --release --bins --target "$HOST" --target-dir "target/$SANITIZER"

run() {
  local target=$1
  shift
  "target/$SANITIZER/$HOST/release/$target" -max_len=4096 -timeout=20 -artifact_prefix="artifacts/$target/" "$@"
}

if [[ ${1:-10} != [0-9]* ]]; then
  target=$1
  shift
  files=()
  for file in "$@"; do
    files+=("$(realpath "$OLDPWD/$file")")
  done
  mkdir -p "artifacts/$target"
  run "$target" "${files[@]}"
  exit
fi

seconds=${1:-10}
shift || true
targets=("$@")
if ((${#targets[@]} == 0)); then
  for file in fuzz_targets/*.rs; do
    targets+=("$(basename "$file" .rs)")
  done
fi
for target in "${targets[@]}"; do
  echo "--- $target"
  mkdir -p "corpus/$target" "artifacts/$target"
  run "$target" -max_total_time="$seconds" -print_final_stats=1 "corpus/$target" "seeds/$target"
done
