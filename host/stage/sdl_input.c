/* SDL's events to the stage's. */
#include "stage/sdl.h"

#include "base/bits.h"
#include "base/text.h"

/* ---- keys ---- */

static const struct {
    SDL_Keycode code;
    uint8_t key;
} named_keys[] = {
    {SDLK_RETURN, RP_KEY_ENTER},
    {SDLK_KP_ENTER, RP_KEY_ENTER},
    {SDLK_TAB, RP_KEY_TAB},
    {SDLK_BACKSPACE, RP_KEY_BACKSPACE},
    {SDLK_ESCAPE, RP_KEY_ESCAPE},
    {SDLK_SPACE, RP_KEY_SPACE},
    {SDLK_DELETE, RP_KEY_DELETE},
    {SDLK_LEFT, RP_KEY_LEFT},
    {SDLK_RIGHT, RP_KEY_RIGHT},
    {SDLK_UP, RP_KEY_UP},
    {SDLK_DOWN, RP_KEY_DOWN},
    {SDLK_HOME, RP_KEY_HOME},
    {SDLK_END, RP_KEY_END},
    {SDLK_PAGEUP, RP_KEY_PAGE_UP},
    {SDLK_PAGEDOWN, RP_KEY_PAGE_DOWN},
    {SDLK_INSERT, RP_KEY_INSERT},
    {SDLK_LSHIFT, RP_KEY_SHIFT},
    {SDLK_RSHIFT, RP_KEY_SHIFT},
    {SDLK_LCTRL, RP_KEY_CTRL},
    {SDLK_RCTRL, RP_KEY_CTRL},
    {SDLK_LALT, RP_KEY_ALT},
    {SDLK_RALT, RP_KEY_ALT},
    {SDLK_KP_0, RP_KEY_0},
    {SDLK_KP_1, RP_KEY_1},
    {SDLK_KP_2, RP_KEY_2},
    {SDLK_KP_3, RP_KEY_3},
    {SDLK_KP_4, RP_KEY_4},
    {SDLK_KP_5, RP_KEY_5},
    {SDLK_KP_6, RP_KEY_6},
    {SDLK_KP_7, RP_KEY_7},
    {SDLK_KP_8, RP_KEY_8},
    {SDLK_KP_9, RP_KEY_9},
    {SDLK_KP_PLUS, '+'},
    {SDLK_KP_MINUS, '-'},
    {SDLK_KP_MULTIPLY, '*'},
    {SDLK_KP_DIVIDE, '/'},
    {SDLK_KP_PERIOD, '.'},
    {SDLK_KP_EQUALS, '='},
};

/* By the keyboard's layout; a key whose layout gives no ASCII (Cyrillic, Greek …) by its place. */
static int key_of(SDL_Keysym symbol)
{
    for (size_t i = 0; i < RP_COUNT_OF(named_keys); i++) {
        if (named_keys[i].code == symbol.sym) {
            return named_keys[i].key;
        }
    }
    if (symbol.sym >= SDLK_F1 && symbol.sym <= SDLK_F12) {
        return RP_KEY_F1 + (symbol.sym - SDLK_F1);
    }
    if (symbol.sym >= 'a' && symbol.sym <= 'z') {
        return symbol.sym - 'a' + 'A';
    }
    if (symbol.sym > ' ' && symbol.sym < 127) {
        return symbol.sym;
    }
    if (symbol.scancode >= SDL_SCANCODE_A && symbol.scancode <= SDL_SCANCODE_Z) {
        return RP_KEY_A + (int)(symbol.scancode - SDL_SCANCODE_A);
    }
    return RP_KEY_NONE;
}

static void push_key(stage *s, int key, bool down, bool repeat, uint16_t modifiers)
{
    stage_event event = {.kind = STAGE_KEY, .key = key, .down = down, .repeat = repeat};
    event.shift = (modifiers & KMOD_SHIFT) != 0;
    event.ctrl = (modifiers & KMOD_CTRL) != 0;
    event.alt = (modifiers & KMOD_ALT) != 0;
    stage_queue_push(&s->input.queue, &event);
}

static bool is_held(const sdl_input *input, int key)
{
    for (int i = 0; i < SDL_NUM_SCANCODES; i++) {
        if (input->key_of[i] == key) {
            return true;
        }
    }
    return false;
}

/* A key is released as what it was pressed as, though the layout may have changed between, and both
 * shift keys are one key that is up when both are. */
static void release_scancode(stage *s, SDL_Scancode scancode, uint16_t modifiers)
{
    int key = s->input.key_of[scancode];
    s->input.key_of[scancode] = RP_KEY_NONE;
    if (key && !is_held(&s->input, key)) {
        push_key(s, key, false, false, modifiers);
    }
}

static void take_key(stage *s, const SDL_KeyboardEvent *event)
{
    SDL_Scancode scancode = event->keysym.scancode;
    if (scancode >= SDL_NUM_SCANCODES) {
        return;
    }
    if (event->type == SDL_KEYUP) {
        release_scancode(s, scancode, event->keysym.mod);
        return;
    }
    int held = s->input.key_of[scancode], key = held ? held : key_of(event->keysym);
    if (key) {
        bool again = is_held(&s->input, key);
        s->input.key_of[scancode] = (uint8_t)key;
        push_key(s, key, true, again, event->keysym.mod);
    }
}

static void release_all(stage *s)
{
    for (int i = 0; i < SDL_NUM_SCANCODES; i++) {
        release_scancode(s, (SDL_Scancode)i, 0);
    }
}

static void take_text(stage *s, const SDL_TextInputEvent *text)
{
    stage_event event = {.kind = STAGE_TEXT};
    rp_text_copy(event.text, sizeof event.text, text->text);
    stage_queue_push(&s->input.queue, &event);
}

/* ---- mouse and timeline ---- */

static void push_mouse(stage *s, int x, int y, float wheel_x, float wheel_y)
{
    sdl_input *input = &s->input;
    stage_rect at = input->picture;
    stage_event event = {.kind = STAGE_MOUSE};
    if (at.width && at.height) {
        input->mouse.x =
            ((float)(x - at.x) + 0.5f) * (float)input->canvas_width_px / (float)at.width;
        input->mouse.y =
            ((float)(y - at.y) + 0.5f) * (float)input->canvas_height_px / (float)at.height;
    }
    event.mouse = input->mouse;
    event.mouse.wheel_x = wheel_x;
    event.mouse.wheel_y = wheel_y;
    stage_queue_push(&input->queue, &event);
}

static void push_scrub(stage *s, int x, bool down)
{
    stage_rect track = s->input.track;
    double fraction = track.width > 1 ? (double)(x - track.x) / (track.width - 1) : 1;
    stage_event event = {.kind = STAGE_SCRUB, .down = down};
    event.fraction = fraction < 0 ? 0 : fraction > 1 ? 1 : fraction;
    stage_queue_push(&s->input.queue, &event);
}

/* The track is thin: what is grabbed reaches as far above it as it is from the bar's edge. */
static bool on_track(const sdl_input *input, int x, int y)
{
    stage_rect track = input->track;
    int reach = track.height + 1;
    return track.width && x >= track.x - reach && x < track.x + track.width + reach &&
           y >= track.y - reach && y < track.y + track.height + reach;
}

static void take_button(stage *s, const SDL_MouseButtonEvent *button)
{
    sdl_input *input = &s->input;
    bool down = button->type == SDL_MOUSEBUTTONDOWN, left = button->button == SDL_BUTTON_LEFT;
    if (left && down && on_track(input, button->x, button->y)) {
        input->scrubbing = true;
    }
    if (left && input->scrubbing) {
        input->scrubbing = down;
        push_scrub(s, button->x, down);
        return;
    }
    uint32_t bit = left                                  ? RP_MOUSE_LEFT
                   : button->button == SDL_BUTTON_MIDDLE ? RP_MOUSE_MIDDLE
                   : button->button == SDL_BUTTON_RIGHT  ? RP_MOUSE_RIGHT
                                                         : 0;
    input->mouse.buttons = down ? input->mouse.buttons | bit : input->mouse.buttons & ~bit;
    push_mouse(s, button->x, button->y, 0, 0);
}

static void take_motion(stage *s, const SDL_MouseMotionEvent *motion)
{
    if (s->input.scrubbing) {
        push_scrub(s, motion->x, true);
    } else {
        push_mouse(s, motion->x, motion->y, 0, 0);
    }
}

static void take_wheel(stage *s, const SDL_MouseWheelEvent *wheel)
{
    float sign = wheel->direction == SDL_MOUSEWHEEL_FLIPPED ? -1.0f : 1.0f;
    push_mouse(s, wheel->mouseX, wheel->mouseY, sign * wheel->preciseX, sign * wheel->preciseY);
}

/* ---- gamepads ---- */

static const struct {
    SDL_GameControllerButton button;
    uint32_t bit;
} pad_buttons[] = {
    {SDL_CONTROLLER_BUTTON_A, RP_PAD_SOUTH},
    {SDL_CONTROLLER_BUTTON_B, RP_PAD_EAST},
    {SDL_CONTROLLER_BUTTON_X, RP_PAD_WEST},
    {SDL_CONTROLLER_BUTTON_Y, RP_PAD_NORTH},
    {SDL_CONTROLLER_BUTTON_BACK, RP_PAD_BACK},
    {SDL_CONTROLLER_BUTTON_GUIDE, RP_PAD_GUIDE},
    {SDL_CONTROLLER_BUTTON_START, RP_PAD_START},
    {SDL_CONTROLLER_BUTTON_LEFTSTICK, RP_PAD_LEFT_STICK},
    {SDL_CONTROLLER_BUTTON_RIGHTSTICK, RP_PAD_RIGHT_STICK},
    {SDL_CONTROLLER_BUTTON_LEFTSHOULDER, RP_PAD_LEFT_SHOULDER},
    {SDL_CONTROLLER_BUTTON_RIGHTSHOULDER, RP_PAD_RIGHT_SHOULDER},
    {SDL_CONTROLLER_BUTTON_DPAD_UP, RP_PAD_UP},
    {SDL_CONTROLLER_BUTTON_DPAD_DOWN, RP_PAD_DOWN},
    {SDL_CONTROLLER_BUTTON_DPAD_LEFT, RP_PAD_LEFT},
    {SDL_CONTROLLER_BUTTON_DPAD_RIGHT, RP_PAD_RIGHT},
};

static float axis_of(SDL_GameController *controller, SDL_GameControllerAxis axis)
{
    float value = (float)SDL_GameControllerGetAxis(controller, axis) / 32767.0f;
    return value < -1.0f ? -1.0f : value;
}

static void push_pad(stage *s, int index)
{
    SDL_GameController *controller = s->input.controllers[index];
    stage_event event = {.kind = STAGE_PAD, .index = index};
    rp_pad *pad = &event.pad;
    if (controller) {
        pad->connected = 1;
        for (size_t i = 0; i < RP_COUNT_OF(pad_buttons); i++) {
            pad->buttons |= SDL_GameControllerGetButton(controller, pad_buttons[i].button)
                                ? pad_buttons[i].bit
                                : 0;
        }
        pad->left_x = axis_of(controller, SDL_CONTROLLER_AXIS_LEFTX);
        pad->left_y = axis_of(controller, SDL_CONTROLLER_AXIS_LEFTY);
        pad->right_x = axis_of(controller, SDL_CONTROLLER_AXIS_RIGHTX);
        pad->right_y = axis_of(controller, SDL_CONTROLLER_AXIS_RIGHTY);
        pad->left_trigger = axis_of(controller, SDL_CONTROLLER_AXIS_TRIGGERLEFT);
        pad->right_trigger = axis_of(controller, SDL_CONTROLLER_AXIS_TRIGGERRIGHT);
    }
    stage_queue_push(&s->input.queue, &event);
}

static int pad_of(const sdl_input *input, SDL_JoystickID id)
{
    for (int i = 0; i < RP_INPUT_PAD_COUNT; i++) {
        if (input->controllers[i] &&
            SDL_JoystickInstanceID(SDL_GameControllerGetJoystick(input->controllers[i])) == id) {
            return i;
        }
    }
    return -1;
}

static void add_pad(stage *s, int device)
{
    if (pad_of(&s->input, SDL_JoystickGetDeviceInstanceID(device)) >= 0) {
        return;
    }
    for (int i = 0; i < RP_INPUT_PAD_COUNT; i++) {
        if (!s->input.controllers[i]) {
            s->input.controllers[i] = SDL_GameControllerOpen(device);
            if (s->input.controllers[i]) {
                push_pad(s, i);
            }
            return;
        }
    }
}

static void change_pad(stage *s, SDL_JoystickID id, bool removed)
{
    int index = pad_of(&s->input, id);
    if (index < 0) {
        return;
    }
    if (removed) {
        SDL_GameControllerClose(s->input.controllers[index]);
        s->input.controllers[index] = NULL;
    }
    push_pad(s, index);
}

void sdl_input_close(stage *s)
{
    for (int i = 0; i < RP_INPUT_PAD_COUNT; i++) {
        if (s->input.controllers[i]) {
            SDL_GameControllerClose(s->input.controllers[i]);
        }
    }
}

/* ---- all ---- */

static void push_kind(stage *s, stage_event_kind kind)
{
    stage_event event = {.kind = kind};
    stage_queue_push(&s->input.queue, &event);
}

static void take_window(stage *s, const SDL_WindowEvent *event)
{
    if (event->event == SDL_WINDOWEVENT_FOCUS_LOST) {
        release_all(s);
    } else if (event->event == SDL_WINDOWEVENT_SIZE_CHANGED) {
        push_kind(s, STAGE_RESIZE);
    }
}

void sdl_input_event(stage *s, const SDL_Event *event)
{
    switch (event->type) {
    case SDL_KEYDOWN:
    case SDL_KEYUP:
        take_key(s, &event->key);
        break;
    case SDL_TEXTINPUT:
        take_text(s, &event->text);
        break;
    case SDL_MOUSEBUTTONDOWN:
    case SDL_MOUSEBUTTONUP:
        take_button(s, &event->button);
        break;
    case SDL_MOUSEMOTION:
        take_motion(s, &event->motion);
        break;
    case SDL_MOUSEWHEEL:
        take_wheel(s, &event->wheel);
        break;
    case SDL_CONTROLLERDEVICEADDED:
        add_pad(s, event->cdevice.which);
        break;
    case SDL_CONTROLLERDEVICEREMOVED:
        change_pad(s, event->cdevice.which, true);
        break;
    case SDL_CONTROLLERBUTTONDOWN:
    case SDL_CONTROLLERBUTTONUP:
        change_pad(s, event->cbutton.which, false);
        break;
    case SDL_CONTROLLERAXISMOTION:
        change_pad(s, event->caxis.which, false);
        break;
    case SDL_AUDIODEVICEADDED:
        s->sound.refused = false;
        break;
    case SDL_WINDOWEVENT:
        take_window(s, &event->window);
        break;
    case SDL_QUIT:
        push_kind(s, STAGE_QUIT);
        break;
    default:
        break;
    }
}
