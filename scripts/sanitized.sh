#!/bin/bash
# Run tests of a build with sanitizers: sanitized.sh BUILD COMMAND...
#
# Each process writes what its sanitizer finds to a file of its own, so that a
# daemon's report counts, too, whose output no test looks at.
set -u
build=$(cd "${1:?build folder}" && pwd) || exit 1
lib=$(cd "$(dirname "$0")/../tests/lib" && pwd) || exit 1
shift
reports=$build/reports

rm -rf "$reports"
mkdir "$reports" || exit 1
export ASAN_OPTIONS="detect_leaks=1:log_path=$reports/asan"
export UBSAN_OPTIONS="print_stacktrace=1:log_path=$reports/ubsan"
export LSAN_OPTIONS="suppressions=$lib/lsan.supp:print_suppressions=0"
export TSAN_OPTIONS="suppressions=$lib/tsan.supp:log_path=$reports/tsan"
"$@"
status=$?
for report in "$reports"/*; do
    [ -s "$report" ] || continue
    echo "sanitized.sh: $report:"
    head -n 60 "$report"
    status=1
done
exit $status
