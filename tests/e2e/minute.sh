# shellcheck shell=bash disable=SC2034,SC2154
# The first minute, for any stage. A stage gives:
#   probe COLOUR      whether the square in the picture's corner has that colour
#   right, right_end  holds the right arrow, lets it go      key NAME    presses a key, as tmux names it
#   rewind_to FRAME   runs backwards by the key, at least to that frame
#   ghosts            whether the fox's paths are drawn, of this build and of the one before
#   alarm             whether an alarm is shown              tells TEXT  whether the stage shows the text

need make cc

# The demo as it is, but for two things: one begins at the lamp before the wide gap, and a square in the
# corner tells what a person would see.
alive=20C020 dead=C02020 over=2020C0
minute_sources() {
    demo_copy
    edit 's/home_x = 3.5f, home_y = 8/home_x = 24.5f, home_y = 8/'
    edit '/^void rp_module_render/,/^}/s/^    draw_hud(stage->canvas);/&\n    rp_fill(stage->canvas, 0, 0, 16, 16, player.dead_s > 0 ? 0xc02020 : player.x > 38 ? 0x2020c0 : 0x20c020);/'
    cp "$work/demo/game.c" "$work/first.c"
}

# loop_ends COLOUR: the last frame of a pass shows it; the loop goes on.
loop_ends() {
    quietly pause
    wait_for 'is mode pause'
    is frame "$to" || stepped $((to - $(field frame)))
    wait_for "probe $1" "the loop's end does not show $1"
    quietly play
    wait_for 'is mode loop'
}

# ran COUNT: that many frames with the right arrow held; a terminal holds it for a short time only.
ran() {
    local begun
    begun=$(field frame)
    quietly speed 64
    right
    quietly step "$1"
    wait_for "above frame $((begun + $1 - 1))"
    right_end
    quietly speed 1
}

# The run at the gap: off from the lamp, a jump at its edge, and on. Slow where the key must meet its frame.
run_and_jump() {
    local at
    ran 74
    quietly speed 1/16
    at=$(field frame)
    right
    quietly play
    key Space
    wait_for "above frame $((at + 1))"
    quietly pause
    ran 70
}

miss_the_gap() {
    quietly pause
    start=$(field frame)
    wait_for "probe $alive"
    ran 120
    quietly play
    wait_for "probe $dead" "the gap is not missed"
}

mark_two_seconds() {
    rewind_to "$start"
    quietly pause
    wait_for 'is mode pause'
    from=$(field frame)
    key F7
    run_and_jump
    key F7
    wait_for 'is mode loop' "F7 twice makes no loop"
    is from "$from" || fail "the loop begins at $(field from), not $from"
    to=$(field to)
    wait_for 'above pass 1'
    is diverged 0 || fail "the same code makes another pass: $(field difference)"
    loop_ends $dead
}

jump_higher() {
    edit 's/^#define JUMP_SPEED 9.0f/#define JUMP_SPEED 11.5f/'
    wait_for 'is build 2' "the new build does not come"
    wait_for 'is mode loop && above pass 1' "the loop broke"
    is from "$from" && is to "$to" || fail "the loop moved"
    loop_ends $over
    wait_for ghosts "the paths of both builds are not drawn"
    cp "$work/demo/game.c" "$work/good.c"
}

write_through_null() {
    edit 's/^    float dt_s = stage->dt_s;$/&\n    *(volatile int *)0 = 1;/'
    line=$(grep -n 'volatile int' "$work/demo/game.c" | cut -d: -f1)
    wait_for 'is mode failed' "the failure is not noticed"
    is build 3 || fail "build $(field build) failed, not 3"
    field lines | grep -q "game.c:$line" || fail "no line in $(field lines)"
    wait_for alarm "no panel over the picture"
    tells "game.c:$line" || fail "the stage does not name the line"
    failed_at=$(field frame)
    cp "$work/good.c" "$work/mended.c"
    mv "$work/mended.c" "$work/demo/game.c"
    wait_for 'is build 4 && is failure null' "the mended build does not come"
    wait_for 'is mode loop && above pass 1' "the same input does not go on"
    wait_for '! alarm' "the panel stays"
    loop_ends $over
}

kill_the_runner() {
    local runner
    runner=$(field runner_pid)
    kill -KILL "$runner"
    wait_for '! is runner_pid "$runner" && [ -n "$(field runner_pid)" ]' "no other runner"
    wait_for 'is mode loop && is failure null'
    local pass
    pass=$(field pass)
    wait_for "above pass $pass" "the loop does not go on"
    is diverged 0 || fail "it goes on differently: $(field difference)"
    loop_ends $over
}

break_the_source() {
    edit 's/^static struct Player player;$/& oops/'
    wait_for '[ "$(field notice)" != "[]" ]' "the compile error is not told"
    field notice | grep -q 'oops' || fail "another error: $(field notice)"
    wait_for alarm "the compile error is not over the picture"
    tells 'the old build runs on' || fail "the stage does not say so"
    is build 4 || fail "build $(field build) runs"
    local pass
    pass=$(field pass)
    wait_for "above pass $pass" "the old build does not run on"
    cp "$work/good.c" "$work/mended.c"
    mv "$work/mended.c" "$work/demo/game.c"
    wait_for 'is notice "[]"' "the error stays"
    wait_for '! alarm' "the panel stays"
}

minute() {
    miss_the_gap
    mark_two_seconds
    jump_higher
    write_through_null
    kill_the_runner
    break_the_source
    key F7
    wait_for 'is loop null' "F7 does not end the loop"
}
