#!/bin/sh
# Install what the build needs and this machine lacks: setup.sh [--test]
# [--fuzz]. Asks dpkg first, so a second run is instant and needs no network.
set -eu

packages="build-essential cmake ninja-build pkg-config libnng-dev libuv1-dev
libprotobuf-c-dev protobuf-c-compiler protobuf-compiler libprotobuf-dev
libjansson-dev libcyaml-dev libyaml-dev libmicrohttpd-dev uthash-dev check
libsqlite3-dev libpq-dev libcurl4-openssl-dev libxxhash-dev python3 curl"

for argument in "$@"; do
    case $argument in
    --test) packages="$packages postgresql-15" ;;
    --fuzz) packages="$packages clang libclang-rt-14-dev" ;;
    *)
        echo "setup.sh: unknown argument $argument (known: --test, --fuzz)" >&2
        exit 2
        ;;
    esac
done

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    echo "setup.sh: no apt-get here: this script knows Debian 12. Install the" \
        "equivalents of these by hand, then build with cmake:" >&2
    echo "$packages" >&2
    for tool in cc cmake ninja pkg-config protoc-c; do
        command -v "$tool" >/dev/null || exit 1
    done
    exit 0
fi

missing=
for package in $packages; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) ||
        state=
    [ "$state" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "setup.sh: these packages are missing and there is no sudo." \
            "As root, run:" >&2
        echo "  apt-get install --no-install-recommends$missing" >&2
        exit 1
    fi
    as_root=sudo
fi
# The package's default cluster is not wanted: the tests start their own.
case $missing in
*postgresql-15*)
    if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
        $as_root mkdir -p /etc/postgresql-common
        echo "create_main_cluster = false" |
            $as_root tee /etc/postgresql-common/createcluster.conf >/dev/null
    fi
    ;;
esac
echo "setup.sh: installing$missing"
install="env DEBIAN_FRONTEND=noninteractive apt-get install -y -q
--no-install-recommends"
# Words are meant to split here.
# shellcheck disable=SC2086
$as_root $install $missing || {
    $as_root apt-get update -q
    $as_root $install $missing
}
