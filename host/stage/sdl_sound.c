/* Sound: queued to SDL, never more than a tenth of a second ahead, so that it stays with the
 * picture. */
#include "stage/sdl.h"

enum { AHEAD_MS = 100, DEVICE_FRAMES = 512 };

/* Without a device a program is silent; that is no error. */
static bool open_device(sdl_sound *sound, uint32_t channel_count, uint32_t rate_hz)
{
    SDL_AudioSpec wanted = {.freq = (int)rate_hz,
                            .format = AUDIO_F32SYS,
                            .channels = (Uint8)channel_count,
                            .samples = DEVICE_FRAMES};
    if (!SDL_WasInit(SDL_INIT_AUDIO) && SDL_InitSubSystem(SDL_INIT_AUDIO) != 0) {
        return false;
    }
    /* To open where there is none makes ALSA write its reasons on the terminal. */
    if (SDL_GetNumAudioDevices(0) == 0) {
        return false;
    }
    sound->device = SDL_OpenAudioDevice(NULL, 0, &wanted, NULL, 0);
    if (sound->device) {
        sound->channel_count = channel_count;
        sound->rate_hz = rate_hz;
        SDL_PauseAudioDevice(sound->device, 0);
    }
    return sound->device != 0;
}

static bool ready(sdl_sound *sound, uint32_t channel_count, uint32_t rate_hz)
{
    if (sound->device && (sound->channel_count != channel_count || sound->rate_hz != rate_hz)) {
        sdl_sound_close(sound);
    }
    if (!sound->device && !sound->refused) {
        sound->refused = !open_device(sound, channel_count, rate_hz);
    }
    return sound->device != 0;
}

void sdl_sound_queue(sdl_sound *sound, const float *samples, uint32_t frame_count,
                     uint32_t channel_count, uint32_t rate_hz)
{
    if (!frame_count) {
        if (sound->device) {
            SDL_ClearQueuedAudio(sound->device);
        }
        return;
    }
    if (!samples || !channel_count || channel_count > 8 || !rate_hz ||
        !ready(sound, channel_count, rate_hz)) {
        return;
    }
    uint32_t frame_bytes = channel_count * (uint32_t)sizeof(float);
    uint32_t cap = (uint32_t)((uint64_t)rate_hz * AHEAD_MS / 1000);
    uint32_t queued = SDL_GetQueuedAudioSize(sound->device) / frame_bytes;
    uint32_t room = queued < cap ? cap - queued : 0;
    SDL_QueueAudio(sound->device, samples, (frame_count < room ? frame_count : room) * frame_bytes);
}

void sdl_sound_close(sdl_sound *sound)
{
    if (sound->device) {
        SDL_CloseAudioDevice(sound->device);
        sound->device = 0;
    }
}
