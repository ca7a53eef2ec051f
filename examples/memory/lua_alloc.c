/* Lua on a heap of its own, with a hard cap.
 *
 * lua_Alloc is one function over one heap: a script that wants more than its cap gets Lua's own
 * "not enough memory", which it can catch, and the program goes on. The heap's statistics say what
 * each script took; destroying the heap gives back everything, whatever the script left behind.
 *
 *     lua_alloc [FILE.lua]
 */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <reprise/memory.h>
#include <stdio.h>
#include <stdlib.h>

enum { CAP_BYTES = 2 << 20 };

/* The whole adapter. Lua asks for nothing but a new size: 0 frees, a null block allocates. */
static void *allocate(void *heap, void *block, size_t old_bytes, size_t new_bytes)
{
    if (new_bytes == 0) {
        if (block) {
            rp_free_sized(block, old_bytes);
        }
        return NULL;
    }
    return rp_resize_at(heap, block, new_bytes, "lua");
}

static void print_statistics(const rp_allocator *heap)
{
    rp_alloc_stats stats;
    rp_stats_get(heap, &stats);
    printf("heap %s: %llu KiB live, %llu KiB at most, cap %llu KiB\n", rp_allocator_name(heap),
           (unsigned long long)stats.live_bytes >> 10, (unsigned long long)stats.peak_bytes >> 10,
           (unsigned long long)stats.cap_bytes >> 10);
}

/* `script` is a text, or the name of a file where `is_file`. */
static int run(const char *name, const char *script, int is_file)
{
    rp_allocator *heap = rp_heap_create(&(rp_heap_desc){.name = name, .cap_bytes = CAP_BYTES});
    lua_State *lua = heap ? lua_newstate(allocate, heap) : NULL;
    if (!lua) {
        fprintf(stderr, "lua_alloc: %s\n", rp_error_last()->text);
        rp_allocator_destroy(heap);
        return 1;
    }
    luaL_openlibs(lua);
    int failed = is_file ? luaL_dofile(lua, script) : luaL_dostring(lua, script);
    printf("%s: %s\n", name, failed ? lua_tostring(lua, -1) : "done");
    print_statistics(heap);
    lua_close(lua);
    rp_allocator_destroy(heap);
    return failed;
}

int main(int argc, char **argv)
{
    if (rp_memory_open(NULL) != RP_OK) {
        fprintf(stderr, "lua_alloc: %s\n", rp_error_last()->text);
        return 1;
    }
    int failed = 0;
    if (argc > 1) {
        failed = run("script", argv[1], 1);
    } else {
        failed |= run("modest", "local t = {} for i = 1, 10000 do t[i] = i end", 0);
        failed |=
            !run("greedy", "local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end", 0);
        failed |= run("careful",
                      "local ok, why = pcall(string.rep, 'x', 100 << 20)\n"
                      "assert(not ok and why == 'not enough memory', why)",
                      0);
    }
    rp_memory_close();
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
