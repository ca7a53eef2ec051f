/* The terminal stage: what comes in as events, what is shown as changed cells. */
#include "stage/term.h"
#include "stage/queue.h"

#include "base/error.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

/* A terminal tells no releases: a key counts as down until its auto-repeat fails to come. The first
 * repeat comes late. */
#define FIRST_HOLD_NS UINT64_C(400000000)
#define REPEAT_HOLD_NS UINT64_C(150000000)
/* The bytes of one key come together; an escape that stands alone for this long is the Escape key.
 */
#define ESCAPE_WAIT_NS UINT64_C(30000000)

enum { READ_BYTES = 96, COLUMNS_MOST = 1000, ROWS_MOST = 500 };

struct stage {
    int fd;
    term_parser parser;
    term_screen screen;
    term_bytes out; /* what the terminal has not taken yet */
    size_t out_sent;
    stage_queue queue;
    uint64_t last_byte_ns;
    bool held[RP_KEY_COUNT];
    bool held_shift[RP_KEY_COUNT];     /* with which the key went down */
    uint64_t release_ns[RP_KEY_COUNT]; /* 0: the terminal will tell */
    rp_mouse mouse;
    bool scrubbing;
    term_places places;
    int canvas_width_px, canvas_height_px;
    bool lost, lost_told;
};

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* ---- keys ---- */

static void push_key(stage *s, const term_input *input, bool down, bool repeat)
{
    stage_event event = {.kind = STAGE_KEY,
                         .key = input->key,
                         .down = down,
                         .repeat = repeat,
                         .shift = input->shift,
                         .ctrl = input->ctrl,
                         .alt = input->alt};
    stage_queue_push(&s->queue, &event);
}

static void release(stage *s, int key)
{
    s->held[key] = false;
    push_key(s, &(term_input){.key = key}, false, false);
}

static void release_all(stage *s)
{
    for (int key = 0; key < RP_KEY_COUNT; key++) {
        if (s->held[key]) {
            release(s, key);
        }
    }
}

static void release_expired(stage *s, uint64_t now)
{
    for (int key = 0; key < RP_KEY_COUNT; key++) {
        if (s->held[key] && s->release_ns[key] && now >= s->release_ns[key]) {
            release(s, key);
        }
    }
}

/* Shift and a function key are another command, however soon it follows: no repeat. Keys of the
 * program stay down when shift is pressed beside them. */
static bool is_other_command(const stage *s, const term_input *input)
{
    int key = input->key;
    return key >= RP_KEY_F1 && key <= RP_KEY_F12 && s->held_shift[key] != input->shift;
}

static void take_key(stage *s, const term_input *input, uint64_t now)
{
    int key = input->key;
    if (input->action == TERM_RELEASE) {
        if (s->held[key]) {
            release(s, key);
        }
        return;
    }
    if (s->held[key] && is_other_command(s, input)) {
        release(s, key);
    }
    bool again = s->held[key];
    s->held[key] = true;
    s->held_shift[key] = input->shift;
    s->release_ns[key] = input->exact ? 0 : now + (again ? REPEAT_HOLD_NS : FIRST_HOLD_NS);
    push_key(s, input, true, again);
}

static void push_kind(stage *s, stage_event_kind kind)
{
    stage_event event = {.kind = kind};
    stage_queue_push(&s->queue, &event);
}

/* ---- mouse ---- */

static void push_scrub(stage *s, int column)
{
    stage_rect track = s->places.track;
    double fraction = track.width > 1 ? (double)(column - track.x) / (track.width - 1) : 1;
    stage_event event = {.kind = STAGE_SCRUB, .down = s->scrubbing};
    event.fraction = fraction < 0 ? 0 : fraction > 1 ? 1 : fraction;
    stage_queue_push(&s->queue, &event);
}

static void push_mouse(stage *s, const term_input *input)
{
    stage_rect at = s->places.picture;
    stage_event event = {.kind = STAGE_MOUSE};
    if (at.width && at.height) {
        s->mouse.x =
            ((float)(input->column - at.x) + 0.5f) * (float)s->canvas_width_px / (float)at.width;
        s->mouse.y =
            (float)(input->row * 2 + 1 - at.y) * (float)s->canvas_height_px / (float)at.height;
    }
    s->mouse.buttons =
        input->down ? s->mouse.buttons | input->button : s->mouse.buttons & ~input->button;
    event.mouse = s->mouse;
    event.mouse.wheel_x = (float)input->wheel_x;
    event.mouse.wheel_y = (float)input->wheel_y;
    stage_queue_push(&s->queue, &event);
}

static void take_mouse(stage *s, const term_input *input)
{
    bool left = input->button == RP_MOUSE_LEFT;
    if (left && input->down && s->places.track.width && input->row == s->places.track.y) {
        s->scrubbing = true;
    }
    if (!s->scrubbing) {
        push_mouse(s, input);
        return;
    }
    s->scrubbing = !left || input->down;
    push_scrub(s, input->column);
}

/* ---- input ---- */

static void take_input(stage *s, const term_input *input, uint64_t now)
{
    switch (input->kind) {
    case TERM_MOUSE:
        take_mouse(s, input);
        return;
    case TERM_FOCUS_OUT:
        release_all(s);
        return;
    case TERM_KITTY:
        term_tty_use_kitty();
        return;
    case TERM_KEY:
        break;
    }
    if (input->key == 'C' && input->ctrl && input->action == TERM_PRESS) {
        push_kind(s, STAGE_QUIT);
        return;
    }
    if (input->key > RP_KEY_NONE && input->key < RP_KEY_COUNT) {
        take_key(s, input, now);
    }
    if (input->text[0] && input->action != TERM_RELEASE && !input->ctrl) {
        stage_event event = {.kind = STAGE_TEXT};
        memcpy(event.text, input->text, sizeof event.text);
        stage_queue_push(&s->queue, &event);
    }
}

/* One read a call: what it gives always fits the empty queue. */
static void read_input(stage *s, uint64_t now)
{
    uint8_t bytes[READ_BYTES];
    term_input input;
    ssize_t count = read(s->fd, bytes, sizeof bytes);
    if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) {
        s->lost = true;
        return;
    }
    for (ssize_t i = 0; i < count; i++) {
        if (term_parse(&s->parser, bytes[i], &input)) {
            take_input(s, &input, now);
        }
    }
    if (count > 0) {
        s->last_byte_ns = now;
    } else if (term_parse_pending(&s->parser) && now - s->last_byte_ns > ESCAPE_WAIT_NS &&
               term_parse_pause(&s->parser, &input)) {
        take_input(s, &input, now);
    }
}

/* A terminal that does not know its size says 0. */
static void follow_size(stage *s)
{
    struct winsize size = {0};
    bool told = term_tty_resized(); /* before the size is asked for */
    ioctl(s->fd, TIOCGWINSZ, &size);
    int columns = size.ws_col ? size.ws_col : 80, rows = size.ws_row ? size.ws_row : 24;
    columns = columns < COLUMNS_MOST ? columns : COLUMNS_MOST;
    rows = rows < ROWS_MOST ? rows : ROWS_MOST;
    if (columns != s->screen.columns || rows != s->screen.rows) {
        told = term_screen_resize(&s->screen, columns, rows) == RP_OK;
    }
    if (told) {
        s->screen.unknown = true;
        push_kind(s, STAGE_RESIZE);
    }
}

/* Sends what the terminal takes without waiting. True: everything was taken. */
static bool send_out(stage *s)
{
    while (s->out_sent < s->out.length) {
        ssize_t wrote = write(s->fd, s->out.data + s->out_sent, s->out.length - s->out_sent);
        if (wrote > 0) {
            s->out_sent += (size_t)wrote;
        } else if (wrote < 0 && errno == EINTR) {
            continue;
        } else {
            s->lost = s->lost || (wrote < 0 && errno != EAGAIN);
            return false;
        }
    }
    s->out.length = s->out_sent = 0;
    return true;
}

static void gather(stage *s)
{
    uint64_t now = now_ns();
    if (term_tty_resumed()) {
        s->screen.unknown = true;
        release_all(s);
    }
    s->lost = s->lost || term_tty_gone();
    if (s->lost) {
        return;
    }
    send_out(s); /* what the terminal did not take at once: nothing else may change for long */
    follow_size(s);
    read_input(s, now);
    release_expired(s, now);
}

static bool term_poll(stage *s, stage_event *event)
{
    if (stage_queue_pop(&s->queue, event)) {
        return true;
    }
    gather(s);
    if (stage_queue_pop(&s->queue, event)) {
        return true;
    }
    bool tell = s->lost && !s->lost_told;
    s->lost_told = s->lost;
    *event = (stage_event){.kind = STAGE_LOST};
    return tell;
}

/* ---- output ---- */

/* A slow terminal gets fewer pictures, never a queue of old ones. */
static void term_show(stage *s, const stage_view *view)
{
    if (s->lost || !send_out(s) || !s->screen.wanted) {
        return;
    }
    s->places = term_paint(&s->screen, view);
    s->canvas_width_px = view->width_px;
    s->canvas_height_px = view->height_px;
    term_screen_encode(&s->screen, &s->out);
    send_out(s);
}

static void term_sound(stage *s, const float *samples, uint32_t frame_count, uint32_t channel_count,
                       uint32_t rate_hz)
{
    (void)s;
    (void)samples;
    (void)frame_count;
    (void)channel_count;
    (void)rate_hz;
}

/* ---- opening and closing ---- */

static rp_status term_open(const stage_desc *desc, stage **out)
{
    (void)desc;
    stage *s = calloc(1, sizeof *s);
    if (!s) {
        return rp_fail(RP_E_MEMORY, "terminal: no memory: close other programs");
    }
    rp_status status = term_tty_open(&s->fd);
    if (status != RP_OK) {
        free(s);
        return status;
    }
    s->screen.colours = term_colours_of_environment();
    follow_size(s);
    s->queue.count = 0; /* the first size is no change */
    *out = s;
    return RP_OK;
}

static void term_close(stage *s)
{
    term_tty_close();
    term_screen_finish(&s->screen);
    free(s->out.data);
    free(s);
}

static int term_wait_fd(stage *s)
{
    return s->fd;
}

const stage_class stage_term_class = {"term",       term_open, term_close, term_poll,
                                      term_wait_fd, term_show, term_sound, NULL};
