#!/bin/sh
# Install what the build needs and this machine lacks: setup.sh [--test]
# [--fuzz] [--bench]. Asks dpkg first, so a second run is instant and needs no
# network.
set -eu

packages="build-essential cmake ninja-build pkg-config libnng-dev libuv1-dev
libprotobuf-c-dev protobuf-c-compiler protobuf-compiler libprotobuf-dev
libjansson-dev libcyaml-dev libyaml-dev libmicrohttpd-dev uthash-dev check
libsqlite3-dev libpq-dev libhiredis-dev libcurl4-openssl-dev libxxhash-dev nettle-dev
libssl-dev libsodium-dev libzstd-dev libpcre2-dev
python3 curl"

for argument in "$@"; do
    case $argument in
    --test) packages="$packages postgresql-15 sqlite3 redis-server" ;;
    --fuzz) packages="$packages clang libclang-rt-14-dev" ;;
    # What the actor runtime is measured against.
    --bench) packages="$packages erlang-base libcaf-dev" ;;
    *)
        echo "setup.sh: unknown argument $argument" \
            "(known: --test, --fuzz, --bench)" >&2
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

# One question for all: a second run takes milliseconds. Words are meant to
# split here, and further down.
# shellcheck disable=SC2086
installed=$(dpkg-query -W -f '${Package}:${db:Status-Status} ' $packages \
    2>/dev/null) || true
missing=
for package in $packages; do
    case " $installed " in
    *" $package:installed "*) ;;
    *) missing="$missing $package" ;;
    esac
done
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "setup.sh: these packages are missing and there is no sudo:" >&2
        echo " $missing" >&2
        echo "As root, run: $(cd "$(dirname "$0")" && pwd)/setup.sh $*" >&2
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
# A machine that has just started may be upgrading itself: wait for the lock.
apt="$as_root env DEBIAN_FRONTEND=noninteractive apt-get -q
-o DPkg::Lock::Timeout=300"
install="install -y --no-install-recommends $missing"
# A fresh machine has no package lists, and old lists name files long gone.
# shellcheck disable=SC2086
if ! apt-get -qq -s $install >/dev/null 2>&1 || ! $apt $install; then
    $apt update
    $apt $install
fi
