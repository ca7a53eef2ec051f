/* A C++ container on a heap, and one on an arena.
 *
 * The heap's containers may grow and shrink for as long as the program runs; one frame's list of
 * contacts lies in an arena, where allocating is adding and the whole of it goes at once.
 */
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <unordered_map>
#include <vector>

#include <reprise/arena.h>
#include <reprise/reprise.hpp>

namespace
{

struct body {
    float x, speed;
};

struct contact {
    int left, right;
};

template <class T> using vector = std::vector<T, rp::allocator<T>>;
using string = std::basic_string<char, std::char_traits<char>, rp::allocator<char>>;
using names = std::unordered_map<int, string, std::hash<int>, std::equal_to<int>,
                                 rp::allocator<std::pair<const int, string>>>;

/* The state of the program: it and all that it owns lie in the world. */
struct game {
    vector<body> bodies;
    names named;

    explicit game(rp_allocator *heap) : bodies(heap), named(heap)
    {
    }
};

void populate(game &state)
{
    for (int i = 0; i < 200; i++) {
        state.bodies.push_back({static_cast<float>(i % 50), 0.1F * static_cast<float>(i % 7)});
    }
    state.named.emplace(7, string("the seventh, with a name that needs a block of its own",
                                  state.bodies.get_allocator()));
}

/* Nothing of this is left when it returns but the number. */
std::size_t step(game &state, rp_arena *frame)
{
    rp_arena_mark mark = rp_arena_mark_get(frame);
    std::size_t count;
    {
        vector<contact> contacts(rp_arena_allocator(frame));
        contacts.reserve(256); /* an arena does not take back what a vector grows out of */
        for (int i = 1; i < static_cast<int>(state.bodies.size()); i++) {
            state.bodies[static_cast<std::size_t>(i)].x += state.bodies[0].speed;
            if (i % 3 == 0) {
                contacts.push_back({i - 1, i});
            }
        }
        count = contacts.size();
    }
    rp_arena_release(frame, mark);
    return count;
}

/* Objects and smart pointers, and what the heap knows of them all. */
int run(rp_allocator *heap, rp_arena *frame)
{
    rp::unique<game> state = rp::make_unique<game>(RP_FROM(heap), heap);
    populate(*state);
    std::size_t contacts = 0;
    for (int i = 0; i < 60; i++) {
        contacts += step(*state, frame);
    }
    rp_alloc_stats stats;
    rp_stats_get(heap, &stats);
    rp_arena_stats left;
    rp_arena_stats_get(frame, &left);
    std::printf("%zu contacts; the heap has %llu blocks, the arena %llu bytes\n", contacts,
                static_cast<unsigned long long>(stats.live_count),
                static_cast<unsigned long long>(left.used_bytes));
    std::printf("body 7 is %s\n", state->named.at(7).c_str());
    state.reset();
    rp_stats_get(heap, &stats);
    return stats.live_count == 0 && left.used_bytes == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

} // namespace

int main()
{
    if (rp_memory_open(nullptr) != RP_OK) {
        std::fprintf(stderr, "container: %s\n", rp_error_last()->text);
        return EXIT_FAILURE;
    }
    rp_heap_desc of_heap = {};
    of_heap.name = "game";
    rp_allocator *heap = rp_heap_create(&of_heap);
    rp_arena_desc of_arena = {};
    of_arena.name = "frame";
    rp_arena *frame = rp_arena_create(&of_arena);
    int failed = heap && frame ? run(heap, frame) : EXIT_FAILURE;
    rp_allocator_destroy(rp_arena_allocator(frame));
    rp_allocator_destroy(heap);
    rp_memory_close();
    return failed;
}
