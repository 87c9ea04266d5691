#!/usr/bin/env bash
#
# Shows that `npm install` leaves a clone as it is, package-lock.json included. The clone has the files of this folder,
# committed or not, and its addon, so that nothing is built.

set -euo pipefail
cd "$(dirname "$0")/.."

clone=$(mktemp -d)
trap 'rm -rf "$clone"' EXIT
git init --quiet "$clone"
# In a worktree it may be a link, which the pattern of .gitignore for the folder does not meet.
echo node_modules >> "$clone/.git/info/exclude"
git --git-dir="$clone/.git" --work-tree=. add --all
mkdir "$clone/native"
cp native/*.node "$clone/native"

cd "$clone"
git checkout-index --all
git -c user.name=check -c user.email=check@localhost commit --quiet --message=clone
npm install --no-audit --no-fund --loglevel=error
changed=$(git status --porcelain)
if [ -n "$changed" ]; then
  printf 'npm install changes a clone:\n%s\n' "$changed"
  git --no-pager diff
  exit 1
fi
