/* What lies on the program's own stacks survives a new process: see
 * tests/programs/context_module.c. */
#include "robust_play.h"
#include "support/test.h"

#include <signal.h>

static play game;

TEST(a_coroutine_sleeps_through_the_death_of_its_process)
{
    play_open(&game, "context_module");
    play_on(&game, 60);
    for (int round = 0; round < 5; round++) {
        kill(game.session.live.pid, SIGKILL);
        rp_input input;
        play_input(session_frame(&game.session) + 1, &input);
        ck_assert_int_eq(session_step(&game.session, &input, false, false), RP_E_DIED);
        play_on(&game, session_frame(&game.session) + 40);
    }
    play_seek(&game, 30);
    play_on(&game, 200);
    play_check_memory(&game);
    play_close(&game);
}
