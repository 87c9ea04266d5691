#!/usr/bin/env bash
#
# scripts/fuzz.sh [seconds [target…]]    fuzzes every target of fuzz/, or those given, for so many seconds (10)
# scripts/fuzz.sh target file…           runs inputs again, such as fuzz/artifacts/<target>/crash-…
#
# Needs the stable toolchain and a C++ compiler, but not cargo-fuzz. SANITIZER=address adds AddressSanitizer.
#
# A run starts from fuzz/seeds/<target> and keeps inputs that reach more code in fuzz/corpus/<target>. An input that
# makes the target fail ends the run, and is left in fuzz/artifacts/<target>.

set -euo pipefail

seconds=10
targets=()
files=()
if [[ ${1:-} == [a-z]* ]]; then
  targets=("$1")
  shift
  for file in "${@:?which file of this target?}"; do
    files+=("$(realpath "$file")")
  done
elif (($# > 0)); then
  seconds=$1
  shift
  targets=("$@")
fi

cd "$(dirname "$0")/../fuzz"
if ((${#targets[@]} == 0)); then
  for file in fuzz_targets/*.rs; do
    targets+=("$(basename "$file" .rs)")
  done
fi

# The flags that `cargo fuzz` passes to the compiler.
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
sanitizer=${SANITIZER:-none}
if [ "$sanitizer" != none ]; then
  # The stable toolchain has the sanitizer's runtime, but accepts its flag only with this variable.
  export RUSTC_BOOTSTRAP=1
  flags+=("-Zsanitizer=$sanitizer")
fi
host=$(rustc -vV | sed -n 's/^host: //p')
# With --target, Cargo builds build scripts and macros without the flags.
RUSTFLAGS="${flags[*]}" cargo build --locked --release --bins --target "$host" --target-dir "target/$sanitizer"

export RUST_BACKTRACE=1
for target in "${targets[@]}"; do
  echo "--- $target"
  mkdir -p "corpus/$target" "artifacts/$target"
  run=("target/$sanitizer/$host/release/$target" -max_len=4096 -timeout=60 "-artifact_prefix=artifacts/$target/")
  if ((${#files[@]} > 0)); then
    "${run[@]}" "${files[@]}"
  else
    "${run[@]}" -max_total_time="$seconds" -print_final_stats=1 "corpus/$target" "seeds/$target"
  fi
done
