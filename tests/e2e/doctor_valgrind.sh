#!/usr/bin/env bash
# A program in valgrind: known as such, and the base is used in the program, not in the tool.
. "$(dirname "$0")/doctor_lib.sh" "$@"
need valgrind
program plain cc
doctor --limit 60 valgrind ./plain
ends 0
says "d['program']['emulator'] == 'valgrind' and d['program']['path'].endswith('/plain') and d['program']['kind'] == 'pie'"
says "modes['as-is']['free'] == 1 and modes['as-is']['proved'] == 1 and modes['as-is']['proved_bytes'] == 16 << 30"
says "found('program-emulated')"
exit 0
