# Outside src/os no layer asks the system for anything or keeps a variable of its own: what is not
# in the region is not restored. Exceptions stand in tools/purity.allow, each with its reason.
# shellcheck shell=bash source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
build=$1

# Everything that a layer calls is a layer's, is on the list, or is wrong.
check_calls() {
    local layer=$1
    while read -r object symbol; do
        if [ -z "${ours[$symbol]:-}" ] && ! allowed call "$layer/$object" "$symbol"; then
            bad "src/$layer/$object:1: calls $symbol, which may ask the system: go through src/os, or give" \
                "a reason in tools/purity.allow"
        fi
    done < <(undefined_in "$build" "$layer")
}

# Variables by their section: what is constant after relocation counts as constant.
check_globals() {
    local layer=$1
    while read -r object symbol; do
        if ! allowed global "$layer/$object" "${symbol%.[0-9]*}"; then
            bad "src/$layer/$object:1: $symbol is a variable that no restore brings back: keep it in the" \
                "region, or give a reason in tools/purity.allow"
        fi
    done < <(objdump -t "$build/src/librp_$layer.a" 2>/dev/null | awk '
        /file format/ { sub(/(\.o)?:.*/, ""); object = $0; next }
        NF < 5 { next }
        { section = $(NF - 2); size = $(NF - 1); symbol = $NF }
        section ~ /^(\.data|\.bss|\.tdata|\.tbss|\*COM\*)/ && section !~ /^\.data\.rel\.ro/ &&
            size !~ /^0+$/ && symbol !~ /^\./ { print object, symbol }')
}

# Whether the list has this kind, place and name; its entries may be patterns.
allowed() {
    local i
    for i in "${!kinds[@]}"; do
        # shellcheck disable=SC2053
        if [[ $1 = "${kinds[i]}" && $2 = ${places[i]} && $3 = ${names[i]} ]]; then
            return 0
        fi
    done
    return 1
}

# An entry for nothing is a hole in the rule, as is one without a reason.
read_list() {
    local number=0 kind place name reason
    kinds=() places=() names=()
    while read -r kind place name reason; do
        number=$((number + 1))
        case $kind in
        '' | '#'*) continue ;;
        file) [ -e "$place" ] || bad "tools/purity.allow:$number: there is no $place" ;;
        *) [ "$place" = '*' ] || compgen -G "src/$place" >/dev/null ||
            bad "tools/purity.allow:$number: there is no src/$place" ;;
        esac
        [ -n "$reason" ] || bad "tools/purity.allow:$number: $name stands without a reason"
        kinds+=("$kind") places+=("$place") names+=("$name")
    done < tools/purity.allow
}

# A pointer to __FILE__ points into the build that made it.
check_file_names() {
    local place
    mapfile -t sources < <(files 'src/*.[ch]' 'include/*.h' 'host/*.[ch]')
    while IFS= read -r place; do
        allowed file "${place%%:*}" __FILE__ ||
            bad "$(cut -d: -f1,2 <<<"$place"): uses __FILE__: a pointer to it does not outlive a reload"
    done < <(lines '\b__FILE__\b' "${sources[@]}")
}

read_list
declare -A ours
found=0
for layer in $layers; do
    [ -f "$build/src/librp_$layer.a" ] || continue
    found=1
    while read -r symbol; do
        ours[$symbol]=1
    done < <(defined_in "$build" "$layer")
done
[ "$found" = 1 ] || bad "$build/src:1: has no library of a layer: build it first"
for layer in $layers; do
    if [ "$layer" != os ] && [ -f "$build/src/librp_$layer.a" ]; then
        check_calls "$layer"
        check_globals "$layer"
    fi
done
check_file_names
exit "$status"
