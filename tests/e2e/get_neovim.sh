#!/bin/bash
# get_neovim.sh [FOLDER] [SUITE]: a Neovim new enough for inline completion (0.12), for the end-to-end tests on a Debian
# machine whose own is older. It is taken from SUITE (default: forky) together with the C library it was built for, and
# unpacked under FOLDER (default: where tests/e2e/conftest.py looks); the system's packages and sources stay as they are.
# Needs patchelf. The binary remembers FOLDER: to move it, run this again.
set -euo pipefail

folder=$(realpath -m "${1:-${XDG_CACHE_HOME:-$HOME/.cache}/incoder-lsp/neovim}")
suite=${2:-forky}
if [ -e "$folder" ]; then # from an earlier run; otherwise not ours to replace
    [ -x "$folder/usr/bin/nvim" ] || { echo "get_neovim.sh: $folder exists and holds no Neovim; name another folder" >&2; exit 1; }
    "$folder/usr/bin/nvim" --version | head -n 1
    exit
fi
command -v patchelf >/dev/null || { echo "get_neovim.sh needs patchelf: apt-get install patchelf" >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/archives/partial" "$work/root"
touch "$work/status" # an empty list of installed packages: every dependency is fetched
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -v security | head -n 1)
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" > "$work/sources.list"
apt() {
    apt-get --quiet --yes --no-install-recommends \
        -o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts=/dev/null \
        -o Dir::Etc::Preferences=/dev/null -o Dir::Etc::PreferencesParts=/dev/null \
        -o Dir::State::Lists="$work/lists" -o Dir::State::Status="$work/status" \
        -o Dir::Cache="$work" -o APT::Sandbox::User="$(id -un)" -o Acquire::Languages=none "$@" > "$work/log" 2>&1 \
        || { cat "$work/log" >&2; exit 1; }
}
apt update
apt install --download-only neovim
for package in "$work"/archives/*.deb; do
    dpkg-deb --extract "$package" "$work/root"
done

libraries=$(dirname "$(find "$work/root/usr/lib" -name 'ld-linux*.so.*' -print -quit)")
final=$folder/usr/lib${libraries#"$work/root/usr/lib"}
loader=$final/$(basename "$(find "$libraries" -maxdepth 1 -name 'ld-linux*.so.*' -print -quit)")
patchelf --set-interpreter "$loader" --force-rpath --set-rpath "$final" "$work/root/usr/bin/nvim"
mkdir -p "$(dirname "$folder")"
mv "$work/root" "$folder"
"$folder/usr/bin/nvim" --version | head -n 1
