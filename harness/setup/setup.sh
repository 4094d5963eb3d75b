#!/usr/bin/env bash
# From a fresh machine to a built program and a real model; a second call takes seconds.
#   harness/setup/setup.sh           packages, libtorch, qbench and qbench-worker, the model
#   harness/setup/setup.sh --tests   the same and all tests
# Reads: CMAKE_PREFIX_PATH (an installed libtorch >= 2.6 there is used instead of the wheel), QBENCH_HOME (model folder,
# default ~/.cache/qbench), QBENCH_TORCH_INDEX (package index with CPU builds of torch; needed where the default one has none).
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd -P)
setup=$root/harness/setup
# shellcheck source=harness/setup/common.sh
source "$setup/common.sh"

build=$root/build
venv=$root/.venv
model_file=SmolLM2-135M-Instruct.Q4_1.gguf
model_sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
torch_cpu_index=${QBENCH_TORCH_INDEX:-}

# --- distribution packages ---------------------------------------------------------------------------------------------

package_present() {  # PACKAGE COMMAND
  [[ -n $2 ]] && command -v "$2" >/dev/null && return 0
  [[ $(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
}

python_makes_venv() { python3 -c 'import ensurepip, venv' 2>/dev/null; }

missing_packages() {
  local package provides
  while read -r package provides; do
    [[ -z $package || $package == \#* ]] || package_present "$package" "$provides" || echo "$package"
  done <"$setup/packages.txt"
  # Debian splits ensurepip off; a Python from elsewhere has it.
  python_makes_venv || echo python3-venv
}

install_packages() {
  local start missing install=(env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300
    install -y --no-install-recommends)
  start=$(now_ms)
  mapfile -t missing < <(missing_packages)
  if ((${#missing[@]} == 0)); then
    done_in packages "$start" "all present"
    return
  fi
  if ! command -v apt-get >/dev/null; then
    fail "this is no Debian or Ubuntu, so packages cannot be installed by this script. Missing: ${missing[*]}" \
      "Install their equivalents; packages.txt in $setup names the commands that are looked for."
  fi
  local as_root=()
  if ((EUID != 0)); then
    if ! sudo -n true 2>/dev/null; then
      fail "no right to install packages. An administrator must run:" \
        "sudo apt-get update && sudo apt-get install -y --no-install-recommends ${missing[*]}"
    fi
    as_root=(sudo -n)
  fi
  say "packages   installing ${missing[*]}"
  "${as_root[@]}" apt-get -o DPkg::Lock::Timeout=300 update -qq </dev/null ||
    say "packages   the package lists could not be refreshed; trying with the old ones"
  mkdir -p "$build"
  run_logged "$build/setup-packages.log" "${as_root[@]}" "${install[@]}" "${missing[@]}" </dev/null ||
    fail "apt-get could not install: ${missing[*]}" \
      "Check the network and the package sources (Debian 12, Ubuntu 24.04 or newer), then run this again."
  done_in packages "$start" "installed ${#missing[@]}"
}

# --- libtorch ----------------------------------------------------------------------------------------------------------

# Prints the first entry of CMAKE_PREFIX_PATH that holds a TorchConfig.cmake.
installed_torch() {
  local prefix prefixes below
  IFS=':;' read -ra prefixes <<<"${CMAKE_PREFIX_PATH:-}"
  for prefix in "${prefixes[@]}"; do
    for below in . share/cmake/Torch lib/cmake/Torch lib64/cmake/Torch Torch; do
      if [[ -n $prefix && -f $prefix/$below/TorchConfig.cmake ]]; then
        echo "$prefix"
        return
      fi
    done
  done
}

pip() {
  "$venv/bin/python" -m pip --disable-pip-version-check --no-input "$@" </dev/null
}

ensure_venv() {
  if [[ -x $venv/bin/python ]] && pip --version >/dev/null 2>&1; then return; fi
  command -v python3 >/dev/null || fail "python3 was not found" "Install Python 3.10 or newer (Debian: apt-get install python3 python3-venv)."
  python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
    fail "$(command -v python3) is $(python3 --version); the libtorch wheel needs 3.10 or newer" \
      "Put a newer python3 first in PATH, or set CMAKE_PREFIX_PATH to an installed libtorch."
  python3 -m venv --clear "$venv" </dev/null >/dev/null ||
    fail "$(command -v python3) cannot make a virtual environment in $venv" \
      "Install its venv module (Debian: apt-get install python3-venv) and check that the folder is writable."
}

wanted_torch() { sed -n 's/^torch==//p' "$setup/requirements.txt"; }

venv_torch() {  # version of the torch in .venv, such as 2.13.0+cpu
  local version_file
  for version_file in "$venv"/lib/python3*/site-packages/torch/version.py; do
    if [[ -f $version_file ]]; then sed -n "s/^__version__ = '\(.*\)'/\1/p" "$version_file"; fi
  done
}

# The usual index carries CUDA builds for x86-64: six times larger, and CMake refuses them where CUDA is not installed.
# Asks the configured indexes first (metadata only) and the CPU index when they have no CPU build.
install_torch_wheel() {
  local log=$build/setup-torch.log offered index=()
  mkdir -p "$build"
  offered=$(pip install --quiet --dry-run --ignore-installed --no-deps --report - -r "$setup/requirements.txt" 2>"$log" |
    "$venv/bin/python" -c 'import json, sys; print(json.load(sys.stdin)["install"][0]["metadata"]["version"])' 2>>"$log") ||
    offered=
  if [[ $offered != *+cpu && $(uname -m) == x86_64 ]]; then
    [[ -n $torch_cpu_index ]] ||
      fail "the configured package index offers torch ${offered:-in no version}, not a CPU build" \
        "Set QBENCH_TORCH_INDEX to a package index with CPU builds of torch $(wanted_torch)," \
        "or set CMAKE_PREFIX_PATH to an installed libtorch (>= 2.6), and run this again."
    index=(--extra-index-url "$torch_cpu_index")
  fi
  say "libtorch   fetching torch $(wanted_torch) (about 200 MB)"
  run_logged "$log" pip install --quiet --no-deps "${index[@]}" -r "$setup/requirements.txt" ||
    fail "pip could not install torch==$(wanted_torch) into $venv" \
      "Check the network, the free disk space (1 GB) and that $(python3 --version) has a wheel of it;" \
      "or set CMAKE_PREFIX_PATH to an installed libtorch (>= 2.6) and run this again."
}

provide_torch() {
  local start found
  start=$(now_ms)
  found=$(installed_torch)
  if [[ -n $found ]]; then
    done_in libtorch "$start" "using $found"
    return
  fi
  ensure_venv
  if [[ $(venv_torch) == "$(wanted_torch)"* ]]; then
    done_in libtorch "$start" "torch $(venv_torch) present"
    return
  fi
  install_torch_wheel
  done_in libtorch "$start" "torch $(venv_torch) installed in .venv"
}

# --- build -------------------------------------------------------------------------------------------------------------

# A build folder that was copied or moved names another source tree or a libtorch that has gone: configure it anew.
drop_foreign_cache() {
  local cache=$build/CMakeCache.txt home torch
  [[ -f $cache ]] || return 0
  home=$(sed -n 's/^CMAKE_HOME_DIRECTORY:INTERNAL=//p' "$cache")
  torch=$(sed -n 's/^Torch_DIR:PATH=//p' "$cache")
  if [[ $home != "$root" || ! -d $torch ]]; then
    rm -rf "$cache" "$build/CMakeFiles" "$build/build.ninja"
  fi
}

build_programs() {  # TARGET...
  local start
  start=$(now_ms)
  drop_foreign_cache
  mkdir -p "$build"
  if [[ ! -f $build/build.ninja ]]; then
    # Given explicitly because CMake would otherwise search a leftover .venv before the environment variable.
    run_logged "$build/setup-configure.log" cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release \
      ${CMAKE_PREFIX_PATH:+"-DCMAKE_PREFIX_PATH=${CMAKE_PREFIX_PATH//:/;}"} </dev/null ||
      fail "CMake could not configure $build" "The message above names what is missing; after installing it run this again."
    done_in configure "$start" "build/"
    start=$(now_ms)
  fi
  run_logged "$build/setup-build.log" ninja -C "$build" -j "$(build_jobs)" "$@" </dev/null ||
    fail "the build failed" "See the first error above. After a killed compiler (too little memory) just run this again."
  done_in build "$start" "build/bin/qbench"
}

# --- model -------------------------------------------------------------------------------------------------------------

has_sha256() { [[ -f $1 && $(sha256sum <"$1") == "$2"* ]]; }

# Unpacks the model and its licence from the wheel beside their final place, checks, then renames: a reader, a second
# set-up or a crash never meets half a file.
unpack_model() {  # WHEEL FOLDER
  "$venv/bin/python" - "$1" "$2" "$model_file" <<'PY'
import pathlib, shutil, sys, zipfile
wheel, folder, model = sys.argv[1:]
with zipfile.ZipFile(wheel) as archive:
    for name in archive.namelist():
        base = pathlib.PurePosixPath(name).name
        if base in (model, "LICENSE"):
            with archive.open(name) as source, open(pathlib.Path(folder) / base, "wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
PY
}

fetch_model() {
  local start models folder work wheel
  start=$(now_ms)
  if [[ -z ${QBENCH_HOME:-} && -z ${HOME:-} ]]; then
    fail "neither QBENCH_HOME nor HOME is set" "Set QBENCH_HOME to a folder with 200 MB free."
  fi
  models=${QBENCH_HOME:-$HOME/.cache/qbench}/models
  folder=$models/smollm2-135m
  if [[ -f $folder/LICENSE ]] && has_sha256 "$folder/$model_file" "$model_sha256"; then
    done_in model "$start" "$folder"
    return
  fi
  ensure_venv
  if ! mkdir -p "$folder" 2>/dev/null || ! work=$(mktemp -d "$models/.fetch.XXXXXX" 2>/dev/null); then
    fail "cannot write to $models" "Set QBENCH_HOME to a folder of yours with 200 MB free."
  fi
  # shellcheck disable=SC2064  # the folder of now is meant
  trap "rm -rf -- $(printf %q "$work")" EXIT
  say "model      fetching SmolLM2-135M-Instruct (98 MB)"
  pip download --quiet --no-deps --require-hashes --dest "$work" -r "$setup/model.txt" >"$work/log" 2>&1 || {
    tail -n 20 "$work/log" >&2
    fail "pip could not download the model package named in $setup/model.txt" \
      "Check the network and the package index; or put $model_file (sha256 $model_sha256) and its LICENSE into $folder by hand."
  }
  wheel=$(echo "$work"/*.whl)
  unpack_model "$wheel" "$work" || fail "$wheel could not be unpacked" "Check the free disk space of $models and run this again."
  has_sha256 "$work/$model_file" "$model_sha256" ||
    fail "$model_file from the package has another SHA-256 than $model_sha256" "Run this again; if it stays so, report it: the package was changed."
  mv -f "$work/LICENSE" "$work/$model_file" "$folder/"
  done_in model "$start" "$folder"
}

# -----------------------------------------------------------------------------------------------------------------------

main() {
  local targets=(bin/qbench bin/qbench-worker)
  case ${1:-} in
    '') ;;
    --tests) targets=(all) ;;
    *) fail "unknown option: $1" "Usage: setup.sh [--tests]" ;;
  esac
  exec 9<"$setup"
  if command -v flock >/dev/null && ! flock -n 9; then
    say "setup      waiting for another set-up of this folder"
    flock 9
  fi
  install_packages
  provide_torch
  fetch_model
  build_programs "${targets[@]}"
}

main "$@"
