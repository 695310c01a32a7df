#!/bin/sh
# Makes .venv from the lock. Checks what it needs, and says in one sentence what to do where something is missing.
set -eu

FREE_MEGABYTES=2500   # the environment takes 1.5 GB, the services' data and downloads the rest
OPEN_FILES=1024       # Kafka, SeaweedFS and the clients of a test run together

fail() {
    echo "set-up: $1" >&2
    exit 1
}

find_python() {
    for candidate in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11; do
        if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    fail "no Python 3.11 to 3.14 found: install one, or name it with PYTHON=/path/to/python3"
}

python=$(find_python)
"$python" -c 'import venv, ensurepip' 2>/dev/null \
    || fail "$python has no venv: install the package python3-venv (Debian) or a Python from python.org"
free=$(df -Pm . | awk 'NR == 2 { print $4 }')
[ "$free" -ge "$FREE_MEGABYTES" ] || fail "only $free MB are free here, $FREE_MEGABYTES are needed: make room"
limit=$(ulimit -n)
[ "$limit" = unlimited ] || [ "$limit" -ge "$OPEN_FILES" ] \
    || fail "only $limit open files are allowed, $OPEN_FILES are needed: run 'ulimit -n $OPEN_FILES' first"

[ -x .venv/bin/python ] || "$python" -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check 'uv>=0.9,<1' \
    || fail "pip could not install uv: check the network, a proxy (HTTPS_PROXY) or a package mirror (PIP_INDEX_URL)"
.venv/bin/uv pip sync --quiet --python .venv/bin/python --require-hashes --only-binary :all: requirements.lock \
    || fail "the locked packages could not be installed: see the message above, then run make again"
.venv/bin/uv pip install --quiet --python .venv/bin/python --no-deps --editable . \
    || fail "everlog itself could not be installed: see the message above"
touch .venv/.ready
