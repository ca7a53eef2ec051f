// operator new and delete under the library: all forms, the new handler, failures.
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <vector>

static int failures;

#define CHECK(condition)                                                         \
    do {                                                                         \
        if (!(condition)) {                                                      \
            std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            failures++;                                                          \
        }                                                                        \
    } while (0)

static bool is_ours(const void *block)
{
    return reinterpret_cast<std::uintptr_t>(block) >> 40 == 0x55 &&
           reinterpret_cast<std::uintptr_t>(block) < 0x554000000000u;
}

static volatile std::size_t too_much = std::size_t(1) << 62;

struct alignas(256) wide {
    char bytes[300];
};
struct thrown {
};

static int handled;
static void give_up_after_three()
{
    if (++handled == 3) {
        std::set_new_handler(nullptr);
    }
}
static void throw_something()
{
    handled++;
    throw thrown();
}

static void every_form_hands_out_our_memory()
{
    void *blocks[] = {::operator new(10), ::operator new[](10), ::operator new(10, std::nothrow),
                      ::operator new[](10, std::nothrow)};
    for (void *block : blocks) {
        CHECK(is_ours(block));
    }
    ::operator delete(blocks[0]);
    ::operator delete[](blocks[1], std::size_t(10));
    ::operator delete(blocks[2], std::nothrow);
    ::operator delete[](blocks[3], std::nothrow);
    for (std::size_t align = 1; align <= 4096; align *= 2) {
        auto value = std::align_val_t(align);
        void *plain = ::operator new(100, value),
             *quiet = ::operator new[](100, value, std::nothrow);
        CHECK(is_ours(plain) && reinterpret_cast<std::uintptr_t>(plain) % align == 0);
        CHECK(is_ours(quiet) && reinterpret_cast<std::uintptr_t>(quiet) % align == 0);
        ::operator delete(plain, std::size_t(100), value);
        ::operator delete[](quiet, value, std::nothrow);
    }
    std::unique_ptr<wide> one(new wide);
    std::vector<wide> many(10);
    CHECK(reinterpret_cast<std::uintptr_t>(one.get()) % 256 == 0 && is_ours(one.get()));
    CHECK(reinterpret_cast<std::uintptr_t>(many.data()) % 256 == 0);
    delete static_cast<char *>(nullptr);
}

static void a_failure_asks_the_handler_and_throws()
{
    bool caught = false;
    handled = 0;
    std::set_new_handler(give_up_after_three);
    try {
        ::operator delete(::operator new(too_much)); // throws
    } catch (const std::bad_alloc &) {
        caught = true;
    }
    CHECK(caught && handled == 3);
    caught = false;
    std::set_new_handler(throw_something);
    try {
        ::operator delete[](::operator new[](too_much, std::align_val_t(64)), std::align_val_t(64));
    } catch (const thrown &) {
        caught = true;
    }
    CHECK(caught && handled == 4);
    std::set_new_handler(nullptr);
}

static void the_quiet_forms_return_null_and_let_no_exception_out()
{
    handled = 0;
    CHECK(::operator new(too_much, std::nothrow) == nullptr);
    std::set_new_handler(give_up_after_three);
    CHECK(::operator new[](too_much, std::nothrow) == nullptr);
    CHECK(handled == 3);
    std::set_new_handler(throw_something);
    CHECK(::operator new(too_much, std::nothrow) == nullptr);
    CHECK(::operator new(too_much, std::align_val_t(64), std::nothrow) == nullptr);
    CHECK(::operator new[](too_much, std::align_val_t(64), std::nothrow) == nullptr);
    CHECK(handled == 6);
    std::set_new_handler(nullptr);
}

static void containers_in_threads()
{
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; t++) {
        threads.emplace_back([t] {
            std::map<std::string, std::vector<std::string>> all;
            for (int i = 0; i < 20000; i++) {
                all[std::to_string(i % 300)].emplace_back(std::size_t(i % 50), char('a' + t));
            }
            CHECK(all.size() == 300);
        });
    }
    for (auto &thread : threads) {
        thread.join();
    }
}

int main()
{
    every_form_hands_out_our_memory();
    a_failure_asks_the_handler_and_throws();
    the_quiet_forms_return_null_and_let_no_exception_out();
    containers_in_threads();
    return failures != 0;
}
