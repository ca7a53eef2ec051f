#!/usr/bin/env bash
# redis-server under redis-benchmark: replies, a save by a forked child, a restart from its file.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
need redis-server redis-cli redis-benchmark
requests=8000
[ -z "$modes" ] || requests=2000
socket=$work/socket
cli() { redis-cli -s "$socket" "$@"; }

start() { # env, or what puts the library in front
    "$@" redis-server --port 0 --unixsocket "$socket" --dir "$work" --save '' --io-threads 2 \
        --daemonize no >>"$work/log" 2>&1 &
    server=$!
    for _ in $(seq 300); do
        [ "$(cli ping 2>/dev/null)" = PONG ] && return
        kill -0 "$server" 2>/dev/null || break
        sleep 0.1
    done
    fail "no server: $(tail -5 "$work/log")"
}
stop() {
    cli shutdown "$@" >/dev/null 2>&1
    wait "$server" || fail "the server ended with $?: $(tail -20 "$work/log")"
    server=''
}
exchange() { # the same questions, whoever answers; to standard output
    cli flushall
    for i in $(seq 300); do
        printf 'set key:%d %s\nhset hash f%d %d\nzadd set %d m%d\nlpush list v%d\n' "$i" \
            "$(printf 'x%.0s' $(seq $((i % 60))))" "$i" "$i" $((i * 7 % 101)) "$i" "$i"
        printf 'append key:%d more\nexpire key:%d 10000\n' $((i / 2)) $((i / 3))
    done | cli
    printf 'zrange set 0 -1 withscores\nlrange list 0 -1\nhgetall hash\nget key:59\nstrlen key:7\ndbsize\n' | cli
    printf 'sort list alpha limit 0 50\ndel set\nscard none\nsetrange key:5 5000 end\nstrlen key:5\n' | cli
    cli eval 'local t = {} for i = 1, 500 do t[i] = redis.call("get", "key:" .. (i % 90)) or "" end return #table.concat(t)' 0
}

start env
exchange >"$work/redis.plain" 2>&1
stop nosave

start "${with[@]}"
grep -q '^550000000000-' "/proc/$server/maps" || fail "redis-server runs without the region"
exchange >"$work/redis.ours" 2>&1
same redis
[ "$(wc -l <"$work/redis.ours")" -gt 2000 ] || fail "too few replies"

under redis-benchmark -s "$socket" -q -n "$requests" -c 20 -r 1000 -d 300 -t set,get,incr,lpush,rpop,sadd,hset,zadd,mset,lrange_100 \
    >"$work/bench" 2>&1 || fail "redis-benchmark: $(tail -3 "$work/bench")"
[ "$(tr '\r' '\n' <"$work/bench" | grep -c 'requests per second')" -ge 10 ] || fail "the benchmark did not run through"

cli bgsave >/dev/null
for _ in $(seq 300); do
    [ "$(cli info persistence | tr -d '\r' | sed -n 's/^rdb_bgsave_in_progress://p')" = 0 ] && break
    sleep 0.1
done
cli info persistence | grep -q '^rdb_last_bgsave_status:ok' || fail "the save failed: $(tail -5 "$work/log")"
keys=$(cli dbsize)
before=$(cli debug digest 2>/dev/null || true)
cli memory purge >/dev/null
cli memory stats >/dev/null
stop nosave
start "${with[@]}"
[ "$(cli dbsize)" = "$keys" ] || fail "$keys keys were saved, $(cli dbsize) read"
[ "$(cli debug digest 2>/dev/null || true)" = "$before" ] || fail "what was read differs from what was saved"
stop nosave
! grep -q '^reprise' "$work/log" || fail "$(grep '^reprise' "$work/log" | head -20)"
