#!/bin/bash
# Build the fuzz targets with clang and run each: fuzz.sh BUILD SECONDS [NAME...]
set -eu
cd "$(dirname "$0")/.."
build=${1:?build folder}
seconds=${2:?seconds for each target}
shift 2

cmake -S . -B "$build" -G Ninja -DCMAKE_C_COMPILER=clang -DPLEX_FUZZ=ON \
    -DPLEX_SANITIZE=address,undefined \
    -DCMAKE_C_FLAGS=-fsanitize=fuzzer-no-link >/dev/null
# Only the fuzz targets: the tests have a `make asan` of their own.
mapfile -t targets < <(ninja -C "$build" -t targets all |
    sed -n 's/^\(fuzz_[a-z0-9_]*\): phony.*/\1/p' | sort -u)
if [ $# -gt 0 ]; then
    targets=("${@/#/fuzz_}")
fi
[ ${#targets[@]} -gt 0 ] || { echo "fuzz.sh: no fuzz targets" >&2; exit 1; }
cmake --build "$build" --target "${targets[@]}"

failed=
for target in "${targets[@]}"; do
    name=${target#fuzz_}
    found=$build/corpus/$name
    mkdir -p "$found"
    echo "== $target for $seconds s"
    if ! "$build/fuzz/$target" -max_total_time="$seconds" -rss_limit_mb=2048 \
        -timeout=10 -print_final_stats=1 -verbosity=0 \
        -artifact_prefix="$build/$target-" \
        "$found" "tests/fuzz/corpus/$name" >"$build/$target.log" 2>&1; then
        tail -n 60 "$build/$target.log"
        failed="$failed $target"
    fi
    grep -E 'stat::(number_of_executed|new_units)' "$build/$target.log" || true
done
[ -z "$failed" ] || { echo "fuzz.sh: FAILED:$failed" >&2; exit 1; }
echo "fuzz.sh: ${#targets[@]} targets, nothing found"
