# shellcheck shell=bash disable=SC2034
# For play_*.sh, which are called as: SCRIPT FOLDER-OF-REPRISE SOURCES PICTURE-PROGRAM
# A folder and a runtime folder of its own for each test; whatever it started ends with it.
set -u
bin=$1 sources=$2 picture=$3
export PATH=$bin:$PATH
unset WAYLAND_DISPLAY DISPLAY REPRISE_SDL_ANY

work=$(mktemp -d /tmp/rp-e2e-XXXXXX)
export XDG_RUNTIME_DIR=$work/run HOME=$work SDL_AUDIODRIVER=dummy
mkdir -m 700 "$XDG_RUNTIME_DIR"
host='' x_server='' window=''

clean() {
    local code=$?
    [ -z "$host" ] || kill -KILL "$host" 2>/dev/null
    tmux -S "$work/tmux" kill-server 2>/dev/null
    [ -z "$x_server" ] || kill "$x_server" 2>/dev/null
    wait
    for pid in $(our_processes); do kill -KILL "$pid" 2>/dev/null; done
    rm -rf "$work"
    exit "$code"
}
trap clean EXIT
trap 'exit 1' INT TERM HUP

fail() {
    printf 'FAILED: %s\n' "$*" >&2
    reprise ctl --name game --json status >&2 || true
    tail -n 30 "$work/err" >&2 2>/dev/null
    [ ! -S "$work/tmux" ] || tmux -S "$work/tmux" capture-pane -p >&2
    [ -z "${E2E_KEEP:-}" ] || cp -r "$work" "$E2E_KEEP"
    exit 1
}

need() {
    for tool in "$@"; do
        command -v "$tool" >/dev/null || { echo "skipped: there is no $tool" >&2; exit 77; }
    done
}

# Looks again until it is so; machines differ in speed, so the bound is wide.
until_true() {
    local end=$((SECONDS + 30))
    until eval "$1"; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.02
    done
}
wait_for() { until_true "$1" || fail "${2:-never: $1}"; }

# Processes of the command that this test started, runners too.
our_processes() {
    local exe pid
    for exe in /proc/[0-9]*/exe; do
        case $(readlink "$exe" 2>/dev/null) in
        */reprise | */reprise-runner) ;;
        *) continue ;;
        esac
        pid=${exe#/proc/} pid=${pid%/exe}
        tr '\0' '\n' 2>/dev/null <"/proc/$pid/environ" | grep -qx "XDG_RUNTIME_DIR=$XDG_RUNTIME_DIR" && echo "$pid"
    done
}
nothing_left() { wait_for '[ -z "$(our_processes)" ]' "processes are left behind: $(our_processes)"; }

# ---- the demo --------------------------------------------------------------------------------------

# The demo's sources in $work/demo; `build` is the command that makes it.
build="make -s -C $work/demo game.so"
demo_copy() {
    mkdir "$work/demo"
    cp "$sources"/examples/demo/{*.c,*.h,Makefile,play.input} "$work/demo"
}
# edit SED-PROGRAM: replaces the source in one go, as editors do, and only where something changes.
edit() {
    sed "$1" "$work/demo/game.c" >"$work/edited.c"
    cmp -s "$work/edited.c" "$work/demo/game.c" && fail "nothing in the source to change: $1"
    mv "$work/edited.c" "$work/demo/game.c"
}

# ---- the host --------------------------------------------------------------------------------------

ctl() { reprise ctl --name game "$@"; }
quietly() { ctl "$@" >/dev/null || fail "ctl $*"; }
# field NAME: of the status; strings without quotes. A field of the loop or the failure by its own name.
field() {
    ctl --json status 2>/dev/null | grep -o "\"$1\":\(\"[^\"]*\"\|\[[^]]*\]\|[^,}]*\)" | head -1 |
        cut -d: -f2- | sed 's/^"\(.*\)"$/\1/'
}
is() { [ "$(field "$1")" = "$2" ]; }
above() { local now; now=$(field "$1") && [ -n "$now" ] && [ "$now" -gt "$2" ]; }

# host_start ARGUMENTS…: `reprise run` behind; $host is its process.
host_start() {
    reprise run --name game "$@" >"$work/out" 2>"$work/err" &
    host=$!
    wait_for 'above frame 0 || ! kill -0 "$host" 2>/dev/null' "the host does not start"
    kill -0 "$host" 2>/dev/null || fail "the host ended"
}
# stepped COUNT: that many frames at once, with the keys that are held; it is paused behind them.
stepped() {
    local to=$(($(field frame) + $1))
    quietly speed 64
    quietly step "$1"
    wait_for "is frame $to"
    quietly speed 1
}
# host_ended CODE: it ends by itself, with that exit code, and takes its runners along.
host_ended() {
    wait_for '! is_running "$host"' "the host does not end"
    wait "$host"
    local code=$?
    host=''
    [ "$code" = "$1" ] || fail "the host ended with $code, not $1"
    nothing_left
}
# A process that ended is there until it is waited for.
is_running() { [ "$(sed -n 's/^State:\t\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null)" != Z ] && [ -e "/proc/$1" ]; }

# ---- a window --------------------------------------------------------------------------------------

x_start() {
    need Xvfb xdotool import
    [ -e "$bin/reprise-stage-sdl.so" ] || [ -e "$bin/stage/reprise-stage-sdl.so" ] ||
        { echo "skipped: built without SDL" >&2; exit 77; }
    Xvfb -displayfd 3 -screen 0 1400x900x24 3>"$work/display" >/dev/null 2>&1 &
    x_server=$!
    wait_for '[ -s "$work/display" ]' "no X server"
    DISPLAY=:$(cat "$work/display")
    export DISPLAY
}
# window_start ARGUMENTS…
window_start() {
    host_start --stage sdl "$@"
    wait_for 'window=$(xdotool search --name "Fox at dusk" 2>/dev/null | head -1); [ -n "$window" ]' "no window"
    eval "$(xdotool getwindowgeometry --shell "$window")"
    [ "$WIDTH $HEIGHT" = "1280 770" ] || fail "the window is $WIDTH x $HEIGHT, not 1280 x 770"
    xdotool windowfocus --sync "$window"
}
shot() { import -silent -window "$window" -depth 8 "$work/shot.ppm" || fail "no picture of the window"; }
# colour RRGGBB [X Y WIDTH HEIGHT]: of the last shot: "COUNT X Y WIDTH HEIGHT"
colour() { "$picture" "$@" <"$work/shot.ppm"; }
# seen LEAST RRGGBB [X Y WIDTH HEIGHT]: in a new shot
seen() {
    local least=$1 count
    shift
    shot
    read -r count _ < <(colour "$@")
    [ "$count" -ge "$least" ]
}
hold() { xdotool keydown "$@"; }
let_go() { xdotool keyup "$@"; }
press() { xdotool key "$@"; }

# ---- a terminal ------------------------------------------------------------------------------------

tm() { tmux -S "$work/tmux" -f /dev/null "$@"; }
# A key that tmux has no name for, as a terminal sends it: in one piece, where send-keys would send byte
# by byte, and a lone ESC is the Escape key.
terminal_sends() {
    tm set-buffer -b key "$1"
    tm paste-buffer -d -r -b key
}
# A shell in tmux, 100 columns and 30 rows, whose prompt is "ready>".
tmux_start() {
    need tmux
    env -u TMUX TERM=xterm-256color COLORTERM=truecolor \
        tmux -S "$work/tmux" -f /dev/null new-session -d -x 100 -y 30 sh || fail "tmux does not start"
    types "PS1='ready> '" Enter
    wait_for 'screen | grep -q "^\(# \)\?ready>"' "no prompt"
}
screen() { tm capture-pane -p "$@"; }
shows() { wait_for "screen | grep -q -- '$1'" "the screen lacks \"$1\""; }
types() { tm send-keys "$@"; }
# terminal_start ARGUMENTS…: types the command, and when it has ended prints its exit code.
terminal_start() {
    types "reprise run --name game --stage term $* 2>$work/err; echo code=\$?" Enter
    wait_for 'above frame 0' "the host does not start in the terminal"
}
