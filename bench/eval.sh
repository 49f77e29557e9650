#!/usr/bin/env bash
# Measure on a folder of corpora, ours beside the libraries: bench/eval.sh CORPORA [arguments of bench/eval.py]
# The libraries live in an environment of their own, .local/eval, so that none of them is ours by accident.
set -euo pipefail
start=$PWD
cd "$(dirname "$0")/.."
corpora=${1:?usage: bench/eval.sh CORPORA [arguments of bench/eval.py]}
shift
[[ $corpora = /* ]] || corpora=$start/$corpora
env=.local/eval
if ! cmp -s <(cat bench/requirements-eval.txt layers/common/requirements.txt) "$env/.installed"; then
  "${PYTHON:-python3}" -m venv "$env"
  "$env/bin/pip" install --quiet -r bench/requirements-eval.txt
  cat bench/requirements-eval.txt layers/common/requirements.txt > "$env/.installed"
fi
# One of the libraries is a Node program; without Node its row is left out.
if command -v npm > /dev/null && [[ ! -d $env/node/node_modules ]]; then
  mkdir -p "$env/node"
  npm install --silent --no-fund --no-audit --ignore-scripts --prefix "$env/node" email-reply-parser@2.3.9 || true
fi
exec "$env/bin/python" bench/eval.py "$corpora" "$@"
