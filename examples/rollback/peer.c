#include "peer.h"

#include <stdio.h>
#include <string.h>

static const uint64_t ms_ns = 1000000;
enum { SILENCE_MS = 4000, LINGER_MS = 1000, MAGIC = 0x52505242 };

/* Both peers are programs of one machine here; between machines, fix the byte order. */
typedef struct packet {
    uint32_t magic, player;
    uint32_t acknowledged;       /* all inputs of the receiver up to this frame have come */
    uint32_t first, input_count; /* inputs of the sender from frame `first` on */
    uint32_t hash_frame;         /* the newest confirmed frame; 0: none yet */
    uint64_t hash;
    uint32_t finished, reserved;
    uint8_t inputs[PACKET_INPUTS];
} packet;

static uint32_t other(const peer *p)
{
    return 1 - p->options.me;
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static int fail(const peer *p, const char *what)
{
    fprintf(stderr, "player %u: %s: %s\n", p->options.me, what, rp_error_last()->text);
    return 1;
}

/* ---- inputs ---- */

/* In place of a person: keeps on for some frames, then does something else. */
static uint8_t play_by_itself(uint32_t player, uint32_t frame)
{
    uint32_t dice = (frame / (9 + 4 * player) + 1) * 2654435761u * (player + 1);
    return (uint8_t)(dice >> 24 & (INPUT_LEFT | INPUT_RIGHT | INPUT_SHOOT));
}

static uint8_t known_or_guessed(const peer *p, uint32_t player, uint32_t frame)
{
    return p->inputs[player][least(frame, p->known[player])];
}

static game_input input_of(const peer *p, uint32_t frame)
{
    return (game_input){{known_or_guessed(p, 0, frame), known_or_guessed(p, 1, frame)}};
}

/* ---- frames ---- */

static void step(void *context, rp_moment moment, const void *input, size_t input_bytes)
{
    peer *p = context;
    game_input in;
    memcpy(&in, input, input_bytes);
    int hits = game_step(p->game, &in);
    if (moment != RP_MOMENT_AGAIN) { /* who heard it once need not hear it again */
        p->sounds += (uint32_t)hits;
    }
    if (p->game->frame == p->options.spoil_frame && p->options.me == 1) {
        p->game->score[1]++;
    }
}

static int advance(peer *p)
{
    uint32_t frame = p->current + 1;
    p->inputs[p->options.me][frame] = play_by_itself(p->options.me, frame);
    p->known[p->options.me] = frame;
    game_input input = input_of(p, frame);
    rp_moment moment = rp_frame_begin(p->deck, &input, sizeof input);
    step(p, moment, &input, sizeof input);
    if (rp_frame_end(p->deck, NULL) != RP_OK) {
        return fail(p, "frame");
    }
    p->current = frame;
    return 0;
}

/* The first frame whose guess was wrong; 0: none that is known to be. */
static uint32_t first_wrong(const peer *p)
{
    for (uint32_t frame = p->confirmed + 1; frame <= least(p->current, p->known[other(p)]);
         frame++) {
        game_input used = {{0}}, right = input_of(p, frame);
        if (rp_frame_input(p->deck, frame, &used, sizeof used, NULL) != RP_OK ||
            memcmp(&used, &right, sizeof used) != 0) {
            return frame;
        }
    }
    return 0;
}

static int roll_back(peer *p, uint32_t wrong)
{
    game_input inputs[AHEAD_MOST + 1];
    uint32_t count = p->current - wrong + 1;
    for (uint32_t i = 0; i < count; i++) {
        inputs[i] = input_of(p, wrong + i);
    }
    p->rollbacks++;
    p->frames_again += count;
    p->deepest = count > p->deepest ? count : p->deepest;
    rp_status status = rp_rollback(p->deck, &(rp_rollback_desc){.frame = wrong - 1,
                                                                .frame_count = count,
                                                                .inputs = inputs,
                                                                .input_bytes = sizeof inputs[0],
                                                                .step = step,
                                                                .context = p});
    return status == RP_OK ? 0 : fail(p, "rollback");
}

static void compare_told(peer *p)
{
    if (!p->desynced && p->told_frame && p->told_frame <= p->confirmed &&
        p->hashes[p->told_frame] != p->told_hash) {
        p->desynced = true;
        fprintf(stderr, "player %u: DESYNC: the peers differ after frame %u\n", p->options.me,
                p->told_frame);
    }
}

/* Every guess up to what is known of the other was right, or has been mended. */
static int confirm(peer *p)
{
    uint32_t wrong = first_wrong(p);
    if (wrong && roll_back(p, wrong)) {
        return 1;
    }
    while (p->confirmed < least(p->current, p->known[other(p)])) {
        p->confirmed++;
        if (rp_state_hash(p->deck, p->confirmed, &p->hashes[p->confirmed]) != RP_OK) {
            return fail(p, "hash");
        }
    }
    compare_told(p);
    return 0;
}

/* ---- packets ---- */

static bool has_all(const peer *p)
{
    return p->confirmed == p->options.frame_count && p->acknowledged == p->options.frame_count;
}

static void send_packet(peer *p)
{
    uint32_t first = p->acknowledged + 1, newest = p->known[p->options.me];
    packet out = {.magic = MAGIC,
                  .player = p->options.me,
                  .acknowledged = p->known[other(p)],
                  .first = first,
                  .input_count = least(newest + 1 - first, PACKET_INPUTS),
                  .hash_frame = p->confirmed,
                  .hash = p->hashes[p->confirmed],
                  .finished = has_all(p)};
    memcpy(out.inputs, &p->inputs[p->options.me][first], out.input_count);
    net_send(&p->net, &out, sizeof out);
}

/* What comes from a network may be anything. */
static bool is_sound(const peer *p, const packet *in)
{
    return in->magic == MAGIC && in->player == other(p) && in->input_count <= PACKET_INPUTS &&
           in->first >= 1 && in->first <= p->known[other(p)] + 1 &&
           in->first + in->input_count <= p->options.frame_count + 1 &&
           in->acknowledged <= p->known[p->options.me] && in->hash_frame <= FRAMES_MOST;
}

static void take_packet(peer *p, const packet *in)
{
    uint32_t who = other(p);
    p->heard_ns = net_now_ns();
    for (uint32_t frame = p->known[who] + 1; frame < in->first + in->input_count; frame++) {
        p->inputs[who][frame] = in->inputs[frame - in->first];
        p->known[who] = frame;
    }
    p->acknowledged = in->acknowledged > p->acknowledged ? in->acknowledged : p->acknowledged;
    p->other_finished = p->other_finished || in->finished;
    if (in->hash_frame > p->told_frame) {
        compare_told(p);
        p->told_frame = in->hash_frame;
        p->told_hash = in->hash;
    }
}

static void receive(peer *p)
{
    packet in;
    while (net_receive(&p->net, &in, sizeof in) == sizeof in) {
        if (is_sound(p, &in)) {
            take_packet(p, &in);
        }
    }
}

/* ---- playing ---- */

static void tell(const peer *p)
{
    uint64_t all = 0;
    for (uint32_t frame = 1; frame <= p->confirmed; frame++) {
        all = all * 31 + p->hashes[frame];
    }
    printf("player %u: frames 1 to %u confirmed, hash %016llx, score %u : %u\n", p->options.me,
           p->confirmed, (unsigned long long)all, p->game->score[0], p->game->score[1]);
    printf("player %u: %u rollbacks made %u frames again, at most %u at once\n", p->options.me,
           p->rollbacks, p->frames_again, p->deepest);
}

/* A frame is due. Where the other is not heard of for too long, it waits: a guess too far off would
 * show, and cost. */
static int frame_due(peer *p)
{
    bool near = p->current - least(p->current, p->known[other(p)]) < AHEAD_MOST;
    int failed = p->current < p->options.frame_count && near ? advance(p) : 0;
    send_packet(p);
    return failed;
}

/* Goes on answering for a while after its own end: the other may lack the last packet. */
static bool is_over(const peer *p)
{
    uint64_t silent_ms = (net_now_ns() - p->heard_ns) / ms_ns;
    return p->desynced || silent_ms > SILENCE_MS ||
           (has_all(p) && (p->other_finished || silent_ms > LINGER_MS));
}

static int play(peer *p)
{
    uint64_t tick_ns = 1000 * ms_ns / p->options.rate_hz, due_ns = net_now_ns();
    int failed = 0;
    p->heard_ns = due_ns;
    while (!failed && !is_over(p)) {
        net_tick(&p->net);
        receive(p);
        failed = confirm(p);
        if (!failed && net_now_ns() >= due_ns) {
            failed = frame_due(p);
            due_ns += tick_ns;
            rp_deck_idle(p->deck, tick_ns / 8); /* within what is left until the next one */
        }
        net_wait(&p->net, due_ns);
    }
    for (int i = 0; i < 3 && !failed; i++) { /* so that the other hears of the end */
        send_packet(p);
        net_wait(&p->net, net_now_ns() + (p->net.trouble.delay_ms + 1) * ms_ns);
        net_tick(&p->net);
    }
    tell(p);
    if (!failed && !p->desynced && !has_all(p)) {
        fprintf(stderr, "player %u: the other was not heard of for %d s\n", p->options.me,
                SILENCE_MS / 1000);
        return 1;
    }
    return failed ? 1 : p->desynced ? 3 : 0;
}

int peer_play(peer *p)
{
    if (rp_deck_open(&(rp_deck_desc){.budget_bytes = 64 << 20}, &p->deck) != RP_OK) {
        return fail(p, "deck");
    }
    p->net.trouble = p->options.trouble;
    p->game = game_make(rp_deck_heap(p->deck));
    int code = p->game ? play(p) : fail(p, "game");
    fflush(stdout);
    rp_deck_close(p->deck);
    return code;
}
