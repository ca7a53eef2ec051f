/* SDL on a heap of the keep zone: SDL_SetMemoryFunctions.
 *
 * What SDL allocates belongs to the window, the sound and the system, none of which goes back in
 * time, so its heap is not part of the world that a seek restores. SDL's four functions carry no
 * context: the heap is a global.
 */
#include <SDL.h>
#include <reprise/memory.h>
#include <stdio.h>
#include <stdlib.h>

static rp_allocator *heap;

static void *SDLCALL allocate(size_t size_bytes)
{
    return rp_alloc(heap, size_bytes);
}

static void *SDLCALL allocate_zeroed(size_t count, size_t size_bytes)
{
    return rp_alloc_zeroed(heap, count, size_bytes);
}

static void *SDLCALL resize(void *block, size_t size_bytes)
{
    return rp_resize(heap, block, size_bytes);
}

static void SDLCALL release(void *block)
{
    rp_free(block);
}

static unsigned long long live_bytes(void)
{
    rp_alloc_stats stats;
    rp_stats_get(heap, &stats);
    return (unsigned long long)stats.live_bytes;
}

/* Before anything else of SDL's: it must have no block from elsewhere. */
static int use_our_memory(void)
{
    heap = rp_heap_create(&(rp_heap_desc){.name = "sdl", .zone = RP_ZONE_KEEP});
    return heap ? SDL_SetMemoryFunctions(allocate, allocate_zeroed, resize, release) : -1;
}

int main(int argc, char **argv)
{
    (void)argc, (void)argv;
    if (rp_memory_open(NULL) != RP_OK || use_our_memory()) {
        fprintf(stderr, "sdl_memory: %s\n", rp_error_last()->text);
        return EXIT_FAILURE;
    }
    SDL_SetHint(SDL_HINT_VIDEODRIVER, "dummy"); /* no window is needed to see where memory goes */
    if (SDL_Init(SDL_INIT_VIDEO) != 0) {
        fprintf(stderr, "sdl_memory: %s\n", SDL_GetError());
        return EXIT_FAILURE;
    }
    printf("started      %llu KiB\n", live_bytes() >> 10);
    unsigned long long before = live_bytes();
    SDL_Surface *surface =
        SDL_CreateRGBSurfaceWithFormat(0, 640, 480, 32, SDL_PIXELFORMAT_ARGB8888);
    printf("a surface  + %llu KiB\n", (live_bytes() - before) >> 10);
    int failed = !surface || live_bytes() - before < 640 * 480 * 4;
    SDL_FreeSurface(surface);
    SDL_Quit();
    printf("stopped      %llu KiB\n", live_bytes() >> 10);
    /* SDL frees some of its blocks in the program's last moments, so the region stays open. */
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
