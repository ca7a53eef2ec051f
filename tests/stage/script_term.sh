#!/usr/bin/env bash
# The terminal stage in tmux: typed keys arrive, the picture and the status line are there, and the shell
# gets its screen back.
set -u
show_stage=$1
command -v tmux >/dev/null || exit 77

folder=$(mktemp -d /tmp/rp-stage-XXXXXX)
server="$folder/tmux"
tm() { tmux -S "$server" -f /dev/null "$@"; }
clean() { tm kill-server 2>/dev/null; rm -rf "$folder"; }
trap clean EXIT
fail() { echo "FAILED: $*"; cat "$folder/events" 2>/dev/null; tm capture-pane -p 2>/dev/null; exit 1; }
# Looks again until it is so: machines differ in speed.
until_true() { for _ in $(seq 200); do eval "$1" && return 0; sleep 0.05; done; return 1; }
told() { until_true "grep -q -- '$1' '$folder/events' 2>/dev/null" || fail "no event \"$1\""; }
shown() { until_true "tm capture-pane -p -e | grep -q -- '$1'" || fail "the screen lacks \"$1\""; }

tm new-session -d -x 100 -y 30 'sh' || exit 77
tm send-keys "PS1='ready> '; COLORTERM=truecolor '$show_stage' term --view loop --events '$folder/events'; echo code=\$?" Enter
told 'opened term'
shown 'build 3'
shown 'loop 780'
shown '▀'
tm capture-pane -p -e | grep -q '38;2;' || fail "no true colour"

tm send-keys a
told 'key 65 down'
told 'key 65 up'
told 'text a'
tm send-keys Right F10
told 'key 129 down'
told 'command 4 1'
tm send-keys F1
shown 'runs backwards while it is held'
tm send-keys F6
told 'command 6 0'
told 'command 7 0'
tm resize-window -x 70 -y 20
told 'resize'
tm send-keys C-q
told 'closed'
shown 'code=0'
tm capture-pane -p | grep -q 'build 3' && fail "the picture is still on the shell's screen"

# Suspended and brought back by the shell.
tm send-keys "set -m; '$show_stage' term --events '$folder/events2'" Enter
shown 'build 3'
pid=$(pgrep -f "show_stage term --events $folder/events2" | tail -1)
kill -TSTP "$pid"
shown 'ready>'
tm send-keys fg Enter
shown 'build 3'
tm send-keys C-c
shown 'ready>'
grep -q quit "$folder/events2" || fail "Ctrl-C did not quit"
echo "the terminal stage works in tmux"
