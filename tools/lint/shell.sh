# Scripts pass shellcheck.
# shellcheck shell=bash source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

mapfile -t scripts < <(files dev .ci/run '*.sh')
[ ${#scripts[@]} -eq 0 ] || shellcheck -x -f gcc "${scripts[@]}" || status=1
exit "$status"
