# Sourced by setup.sh, quickstart and check: messages and timing.
# shellcheck shell=bash

say() { printf '%s\n' "$*"; }

# fail WHAT REMEDY...: what went wrong, then what to do, one line each.
fail() {
  printf 'error: %s\n' "$1" >&2
  shift
  if (($# > 0)); then printf '  %s\n' "$@" >&2; fi
  exit 1
}

now_ms() { date +%s%3N; }

# done_in LABEL START_MS NOTE: the closing line of a step.
done_in() {
  local ms=$(($(now_ms) - $2))
  printf '%-10s %s (%d.%d s)\n' "$1" "$3" $((ms / 1000)) $((ms % 1000 / 100))
}

# run_logged LOG COMMAND...: on a terminal the command writes to it; elsewhere into LOG, whose end is shown on failure.
run_logged() {
  local log=$1
  shift
  if [[ -t 1 ]]; then
    "$@"
  elif ! "$@" >"$log" 2>&1; then
    tail -n 60 "$log" >&2
    printf '(the whole log: %s)\n' "$log" >&2
    return 1
  fi
}

# Jobs for compilers: one a core, at most one for each 1.5 GB of free memory.
build_jobs() {
  local cores free_kb jobs
  cores=$(nproc)
  free_kb=$(awk '/^MemAvailable:/ { print $2 }' /proc/meminfo)
  jobs=$((${free_kb:-1500000} / 1500000))
  ((jobs < 1)) && jobs=1
  ((jobs > cores)) && jobs=$cores
  echo "$jobs"
}
