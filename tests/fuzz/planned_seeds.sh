#!/usr/bin/env bash
# Makes the seeds of the target `planned`: what reprise-plan answers.
#
#     planned_seeds.sh PLANNER OLD.so NEW.so FOLDER
set -euo pipefail
planner=$1 old=$2 new=$3 folder=$4
mkdir -p "$folder"

# Descriptor 3 takes the copy, 4 the answer, 5 is the old build.
ask() {
    local name=$1 old_fd=$2 path=$3
    "$planner" "$path" 3 4 2 "$old_fd" 1 10000000 20000000 '' 0 3<>"$folder/.copy" 4<>"$folder/$name" 5<"$old"
    rm "$folder/.copy"
}
rm -f "$folder/edit" "$folder/first" "$folder/refused"
ask first -1 "$new"
ask refused -1 /dev/null
ask edit 5 "$new"
