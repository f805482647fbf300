#!/bin/sh
# Checks what the build needs and installs what is missing; does nothing on a machine that has it.
set -eu

say() { printf 'setup: %s\n' "$*" >&2; }

if ! command -v cargo >/dev/null 2>&1; then
    if [ -f "$HOME/.cargo/env" ]; then
        say "cargo is installed but not on the PATH; run: . \"\$HOME/.cargo/env\""
    else
        say "no cargo found; install Rust with rustup first (https://rustup.rs)"
    fi
    exit 1
fi

packages=""
# zstd is compiled from C, faiss from C++, and every Rust program is linked by cc.
command -v cc >/dev/null 2>&1 && command -v c++ >/dev/null 2>&1 || packages="$packages build-essential"
# faiss is built by cmake and multiplies matrices by a BLAS.
command -v cmake >/dev/null 2>&1 || packages="$packages cmake"
links() { echo 'int main(void) { return 0; }' | cc -x c - "-l$1" -o /dev/null 2>/dev/null; }
links blas || packages="$packages libopenblas-dev"
links lapack || packages="$packages liblapack-dev"
# The sample is fetched and its tests are run by Python.
command -v python3 >/dev/null 2>&1 || packages="$packages python3"
python3 -m pip --version >/dev/null 2>&1 || packages="$packages python3-pip"
[ -n "$packages" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    say "missing:$packages; install them with your system's package manager"
    exit 1
fi
if [ "$(id -u)" = 0 ]; then
    as_root=""
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    as_root=sudo
else
    say "missing:$packages; run: sudo apt-get update && sudo apt-get install -y$packages"
    exit 1
fi
say "installing$packages (compilers, cmake and BLAS for the build, Python for the sample)"
$as_root apt-get update
# shellcheck disable=SC2086 # a list of words
$as_root apt-get install -y $packages
