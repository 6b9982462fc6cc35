#!/bin/sh
# Usage: package.sh BUILD OUTSIDE SOURCE CMAKE CC
# Installs the SDK into an empty prefix and builds SOURCE against it both ways.
set -eu
build=$1 outside=$2 source=$3 cmake=$4 cc=$5
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$cmake" --install "$build" --prefix "$work/prefix" --component sdk-c >/dev/null
# What is installed may be moved.
mv "$work/prefix" "$work/moved"
pc=$(find "$work/moved" -name plexspaces-actor.pc)
[ -n "$pc" ] || { echo "no plexspaces-actor.pc was installed"; exit 1; }

PKG_CONFIG_PATH=$(dirname "$pc")
export PKG_CONFIG_PATH
# shellcheck disable=SC2046
"$cc" -std=c17 -Wall -Wextra -Werror -fPIC -shared -fvisibility=hidden \
    $(pkg-config --cflags plexspaces-actor) -o "$work/counter.so" "$source"
nm -D --defined-only "$work/counter.so" | grep -q ' plex_module$'

"$cmake" -S "$outside" -B "$work/build" -DSOURCE="$source" \
    -DCMAKE_C_COMPILER="$cc" -DCMAKE_PREFIX_PATH="$work/moved" >/dev/null
"$cmake" --build "$work/build" >/dev/null
nm -D --defined-only "$work/build/counter.so" | grep -q ' plex_module$'
echo "built with pkg-config and with CMake"
