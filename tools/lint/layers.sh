# A layer includes and calls itself and those below it, nothing else.
# shellcheck shell=bash source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
build=$1

check_includes() {
    local layer=$1 below file place name other
    below=$(layers_up_to "$layer")
    mapfile -t sources < <(files "src/$layer/*.[chS]")
    while IFS= read -r place; do
        file=${place%%:*}
        name=$(sed -E 's/.*#[ ]*include[ ]*["<]([^">]*)[">].*/\1/' <<<"$place")
        other=${name%%/*}
        if [[ $name = */* || $place = *\"* ]] && [ -e "host/$name" ] && [ ! -e "src/$name" ]; then
            bad "${place%%#*}the layer $layer includes \"$name\" of the host"
        elif [[ " $layers " = *" $other "* && "$below" != *" $other "* ]]; then
            bad "${place%%#*}the layer $layer includes \"$name\" of a layer above it"
        elif [ "$other" = "$name" ] && [ -e "$(dirname "$file")/$name" ]; then
            bad "${place%%#*}write \"$layer/$name\": layers name their headers in full"
        fi
    done < <(lines '^[[:space:]]*#[[:space:]]*include' "${sources[@]}")
}

# Names that a layer's objects use, against the libraries that define them.
check_symbols() {
    local layer=$1 below object symbol owner
    below=$(layers_up_to "$layer")
    while read -r object symbol; do
        owner=${owner_of[$symbol]:-}
        if [ -n "$owner" ] && [[ $below != *" $owner "* ]]; then
            bad "src/$layer/$object:1: uses $symbol of the layer $owner above it"
        elif [ -z "$owner" ] && [[ $symbol = rp_* ]]; then
            bad "src/$layer/$object:1: uses $symbol, which no layer defines"
        fi
    done < <(undefined_in "$build" "$layer")
}

declare -A owner_of
found=0
for layer in $layers; do
    [ -f "$build/src/librp_$layer.a" ] || continue
    found=1
    while read -r symbol; do
        owner_of[$symbol]=$layer
    done < <(defined_in "$build" "$layer")
done
[ "$found" = 1 ] || bad "$build/src:1: has no library of a layer: build it first"
for layer in $layers; do
    check_includes "$layer"
    check_symbols "$layer"
done
exit "$status"
