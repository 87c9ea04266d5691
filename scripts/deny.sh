#!/usr/bin/env bash
#
# Checks licences, sources and banned crates against deny.toml. Advisories are not checked, because they need a database
# from the internet; SECURITY.md says how to check them.

set -euo pipefail
cd "$(dirname "$0")/.."

readonly VERSION=0.20.2
tools=$PWD/target/tools
[ -x "$tools/bin/cargo-deny" ] || cargo install --locked --quiet --root "$tools" --version "$VERSION" cargo-deny
"$tools/bin/cargo-deny" --log-level warn check licenses bans sources
