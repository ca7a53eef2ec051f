#!/usr/bin/env bash
# Takes at an address: from nginx with and without TLS, and from a server that does everything wrong. Called as:
# net.sh FOLDER-OF-REPRISE SOURCES MAKE-TAKE; 77 where a tool is missing.
set -u
bin=$1 sources=$2 make_take=$3
export PATH=$bin:$PATH:/usr/sbin
for tool in nginx openssl python3; do
    command -v "$tool" >/dev/null || { echo "skipped: there is no $tool" >&2; exit 77; }
done
work=$(mktemp -d /tmp/rp-net-XXXXXX)
nginx_pid='' hostile_pid=''
# shellcheck disable=SC2317 # called by the trap
finish() {
    exec 9>&-
    [ -z "$nginx_pid" ] || kill "$nginx_pid" 2>/dev/null
    [ -z "$hostile_pid" ] || kill "$hostile_pid" 2>/dev/null
    wait 2>/dev/null
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 1' INT TERM HUP
cd "$work" || exit 1
export REPRISE_NET_STALL_S=1
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY all_proxy SSL_CERT_FILE
export no_proxy='*'

# shellcheck disable=SC2317 # also called by jobs
fail() {
    printf 'FAILED: %s\n' "$*" >&2
    tail -n 3 "$work/${1%%:*}.err" "$work/nginx.log" >&2 2>/dev/null
    exit 1
}

# refused NAME TEXT COMMAND…: it ends with 1 and says so; damaged: with 3.
refused() { ends_with 1 "$@"; }
# shellcheck disable=SC2317
damaged() { ends_with 3 "$@"; }
ends_with() {
    local wanted=$1 name=$2 text=$3 code=0
    shift 3
    timeout 60 "$@" >"$name.out" 2>"$name.err" || code=$?
    [ "$code" = "$wanted" ] || fail "$name: ended with $code"
    grep -qF -- "$text" "$name.err" || fail "$name: does not say: $text"
}

# same NAME ADDRESS: all of the take is read from there as from the file.
same() {
    timeout 60 reprise info --check --frames --records "$2" >"$1.out" 2>"$1.err" || fail "$1: ended with $?"
    tail -n +2 "$1.out" | cmp -s - <(tail -n +2 local.out) || fail "$1: is not what is in the file"
}

# ---- the take, and the servers ----
mkdir www
"$make_take" www/a.take 400 || fail "no take was made"
size=$(stat -c %s www/a.take)
[ "$size" -gt 2000000 ] || fail "the take is too small for this test: $size"
reprise info --check --frames --records www/a.take >local.out || fail "the take is not sound"
openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost \
    -addext subjectAltName=DNS:localhost >/dev/null 2>&1 || fail "no certificate was made"
read -r plain secure < <(python3 -c 'import socket
a, b = (socket.create_server(("127.0.0.1", 0)) for _ in range(2))
print(a.getsockname()[1], b.getsockname()[1])')
cat >nginx.conf <<CONF
daemon off; master_process off; pid $work/nginx.pid; error_log $work/nginx.log info;
events { worker_connections 64; }
http {
    log_format bytes '\$uri \$status \$body_bytes_sent';
    access_log $work/access.log bytes;
    client_body_temp_path $work/t1; proxy_temp_path $work/t2; fastcgi_temp_path $work/t3;
    uwsgi_temp_path $work/t4; scgi_temp_path $work/t5;
    server {
        listen 127.0.0.1:$plain; listen 127.0.0.1:$secure ssl;
        ssl_certificate $work/cert.pem; ssl_certificate_key $work/key.pem;
        root $work/www;
        location /moved/ { return 302 /a.take; }
        location /down/ { return 302 http://127.0.0.1:$plain/a.take; }
        location /slow/ { alias $work/www/; limit_rate 4m; }
        location /whole/ { alias $work/www/; max_ranges 0; }
        location /private/ { deny all; }
    }
}
CONF
nginx -c "$work/nginx.conf" -e "$work/nginx.log" 2>nginx.err &
nginx_pid=$!
mkfifo hold
python3 "$sources/tests/e2e/net_hostile.py" www/a.take <hold >port 2>hostile.err &
hostile_pid=$!
exec 9>hold
for ((i = 0; i < 200; i++)); do
    [ -s port ] && (exec 3<>"/dev/tcp/127.0.0.1/$secure") 2>/dev/null && break
    kill -0 "$nginx_pid" 2>/dev/null || fail "nginx does not run"
    sleep 0.05
done
hostile=http://127.0.0.1:$(cat port)
web=http://127.0.0.1:$plain

# ---- nginx ----
same plain "$web/a.take"
same moved "$web/moved/"
same slow "$web/slow/a.take"
same whole "$web/whole/a.take"
: >access.log
reprise info "$web/a.take" >/dev/null || fail "info"
sent=$(awk '{ n += $3 } END { print n }' access.log)
[ "$sent" -gt 0 ] && [ "$sent" -lt $((size / 4)) ] || fail "what is in a take of $size bytes took $sent"
grep -q ' 206 ' access.log || fail "nginx was not asked for ranges"
reprise diff "$web/a.take" 3 "$web/a.take" 4 >net.out
reprise diff www/a.take 3 4 >file.out
cmp -s net.out file.out || fail "diff"
reprise trim --frames 3-5 "$web/a.take" part.take && reprise info --check part.take >/dev/null || fail "trim"
refused absent 'the server has no such file (status 404)' reprise info "$web/b.take"
refused private 'no permission (status 403)' reprise info "$web/private/a.take"
refused noserver 'Failed to connect' reprise info "http://127.0.0.1:1/a.take" &
refused certificate 'its certificate is not accepted: ' reprise info "https://localhost:$secure/a.take"
SSL_CERT_FILE=$work/cert.pem same secure "https://localhost:$secure/a.take"
SSL_CERT_FILE=$work/cert.pem refused host 'its certificate is not accepted: ' \
    reprise info "https://127.0.0.1:$secure/a.take"
SSL_CERT_FILE=$work/cert.pem refused downgrade 'it leads to where no take is read from: ' \
    reprise info "https://localhost:$secure/down/a.take"

# ---- the other one: side by side, since most are asked several times ----
jobs=()
beside() {
    "$@" &
    jobs+=($!)
}
beside same good "$hostile/good"
beside same cut "$hostile/cut"
beside same drip "$hostile/drip"
beside same busy "$hostile/busy"
beside same taken-whole "$hostile/whole"
beside refused always-cut 'the connection was cut' reprise info "$hostile/always-cut"
beside refused stall 'no answer in time' reprise info "$hostile/stall"
beside refused wrong 'another part than was asked for' reprise info "$hostile/wrong"
beside refused change 'it changed while it was read' reprise info --check "$hostile/change"
beside refused no-length 'does not say how much it sends' reprise info "$hostile/whole-no-length"
beside damaged liar 'liar: at ' reprise info "$hostile/liar"
beside refused endless 'longer than was asked for' reprise info "$hostile/endless"
beside refused endless-whole 'too large to be taken whole' reprise info "$hostile/endless-whole"
beside refused gzip 'packs what it sends' reprise info "$hostile/gzip"
beside refused garbage 'the answer is no HTTP' reprise info "$hostile/garbage"
beside refused head ': ' reprise info "$hostile/head"
beside refused loop 'it leads in circles' reprise info "$hostile/loop"
beside refused file 'it leads to where no take is read from' reprise info "$hostile/file"
beside refused negative ': ' reprise info "$hostile/negative"
for job in "${jobs[@]}"; do
    wait "$job" || exit 1
done
grep -q root: ./*.out ./*.err && fail "a file of this machine was read"
exit 0
