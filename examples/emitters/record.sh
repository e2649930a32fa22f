#!/usr/bin/env bash
# Records what real emitters send. Usage: record.sh [emitter…]; without arguments, all of them.
# Needs node 20 or newer, npm and go. Writes to exporter/mapping/testdata/recorded, or to the folder that OUT names.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
checkout=$(cd "$here/../.." && pwd)
out=${OUT:-$checkout/exporter/mapping/testdata/recorded}
emitters=("$@")
if [ ${#emitters[@]} -eq 0 ]; then
  mapfile -t emitters < <(cd "$here" && ls -d */main.mjs | xargs -n1 dirname)
fi
for e in "${emitters[@]}"; do
  [ -f "$here/$e/main.mjs" ] || { echo "record.sh: no emitter $e in $here" >&2; exit 2; }
done

cd "$here"
install() { (cd "$1" && npm ci --no-audit --no-fund --loglevel=error); }
if [ "${SKIP_INSTALL:-}" = "" ]; then
  install . # All but those with a lock file of their own: their trees are large.
  for e in "${emitters[@]}"; do
    if [ -f "$e/package-lock.json" ]; then install "$e"; fi
  done
fi
mkdir -p "$out"
work=$(mktemp -d)
(cd "$checkout" && go build -o "$work/sink" ./examples/emitters/sink)
mkfifo "$work/stdin"
"$work/sink" -out "$out" -scrub "$checkout=/app" <"$work/stdin" >"$work/address" &
sink=$!
exec 3>"$work/stdin" # The sink runs until this closes.
trap 'exec 3>&-; wait $sink || true; rm -rf "$work"' EXIT
until [ -s "$work/address" ]; do
  kill -0 $sink 2>/dev/null || { echo "record.sh: the sink did not start" >&2; exit 1; }
  sleep 0.05
done
address=$(cat "$work/address")

for e in "${emitters[@]}"; do
  while read -r scenario recording; do
    rm -f "$out/$recording".*.json
    OTEL_EXPORTER_OTLP_ENDPOINT=$address/$recording OTEL_NODE_RESOURCE_DETECTORS=none \
      TRACELOOP_TELEMETRY=false MASTRA_TELEMETRY_DISABLED=1 DO_NOT_TRACK=1 \
      node "$e/main.mjs" "$scenario" </dev/null >"$work/expect.json"
    kill -0 $sink || { echo "record.sh: the sink stopped at $recording; see above" >&2; exit 1; }
    sed "s|$checkout|/app|g" "$work/expect.json" >"$out/$recording.expect.json"
    echo "$recording: $(ls "$out/$recording".*.json | grep -vc expect) requests"
  done < <(node "$e/main.mjs" --list)
done

# A recording must not name the machine it was made on.
if grep -rlF -e "$checkout" -e "\"$(hostname)\"" "$out"; then
  echo "record.sh: the files above name this machine; scrub them in sink/ or in the emitter" >&2
  exit 1
fi
