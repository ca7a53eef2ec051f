/* Stacks by frame pointers: on every kind of stack, and where there are no frame pointers. */
#include "base/bits.h"
#include "os/os.h"
#include "region/region.h"
#include "support/test.h"
#include "trace/trace.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <ucontext.h>
#include <unistd.h>

enum { DEPTH = 8 };

static uintptr_t found[RP_TRACE_STACK_MOST];
static volatile size_t found_count; /* written behind the back of the compiler */

/* Stands where rp_alloc_at does: the caller is who called it. */
static __attribute__((noinline)) void take(void)
{
    found_count = rp_trace_stack_walk(__builtin_return_address(0), found, RP_TRACE_STACK_MOST);
    __asm__ volatile("");
}

static __attribute__((noinline)) int descend(int depth)
{
    if (depth == 0) {
        take();
    } else {
        descend(depth - 1);
    }
    __asm__ volatile(""); /* no tail call */
    return depth;
}

/* How many addresses at the start of the stack are the same place: those of the recursion. */
static size_t recursion_length(void)
{
    size_t length = 1;
    while (length + 1 < found_count && found[length + 1] == found[1]) {
        length++;
    }
    return length;
}

static void check_descent(void)
{
    ck_assert_uint_ge(found_count, DEPTH);
    ck_assert_uint_eq(recursion_length(), DEPTH);
    for (size_t i = 0; i < found_count; i++) {
        ck_assert_uint_ge(found[i], 4096);
    }
}

static void open_region(void)
{
    ck_ok(rp_region_create(&(rp_region_desc){0}));
}

TEST(the_stack_begins_with_the_caller_and_goes_outwards)
{
    open_region();
    descend(DEPTH);
    check_descent();
}

static __attribute__((noinline)) uint32_t intern_here(void)
{
    uint32_t id = rp_trace_stack(RP_ZONE_WORLD, __builtin_return_address(0));
    __asm__ volatile("");
    return id;
}

TEST(the_same_way_has_the_same_id_and_gives_its_addresses_back)
{
    open_region();
    uint32_t ids[3];
    const void *addresses[RP_TRACE_STACK_MOST];
    for (volatile int i = 0; i < 3; i++) { /* one call, not three unrolled */
        ids[i] = intern_here();
    }
    ck_assert_uint_ne(ids[0], 0);
    ck_assert_uint_eq(ids[1], ids[0]);
    size_t count = rp_trace_stack_get(RP_ZONE_WORLD, ids[0], addresses, RP_TRACE_STACK_MOST);
    ck_assert_uint_ge(count, 2);
    ck_assert_ptr_ne(addresses[0], addresses[1]);
    ck_assert_uint_eq(rp_trace_stack_get(RP_ZONE_WORLD, ids[0], addresses, 1), 1);
    ck_assert_uint_eq(rp_trace_stack_get(RP_ZONE_WORLD, 0, addresses, 1), 0);
    ck_assert_uint_eq(rp_trace_stack_get(RP_ZONE_WORLD, 1u << 28, addresses, 1), 0);
    ck_assert_uint_eq(rp_trace_stack(RP_ZONE_WORLD, NULL), 0);
}

TEST(a_caller_that_is_not_on_the_stack_stands_alone)
{
    open_region();
    found_count = rp_trace_stack_walk((void *)0x123456, found, RP_TRACE_STACK_MOST);
    ck_assert_uint_eq(found_count, 1);
    ck_assert_uint_eq(found[0], 0x123456);
}

TEST(a_deep_recursion_is_cut_at_the_most_there_is_room_for)
{
    open_region();
    descend(20000);
    ck_assert_uint_eq(found_count, RP_TRACE_STACK_MOST);
}

static void *descend_in_thread(void *unused)
{
    descend(DEPTH);
    return unused;
}

TEST(a_thread_has_its_own_limits)
{
    open_region();
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, descend_in_thread, NULL), 0);
    pthread_join(thread, NULL);
    check_descent();
}

TEST(a_thread_on_a_stack_of_the_callers_is_followed_to_its_end)
{
    open_region();
    pthread_attr_t attributes;
    pthread_t thread;
    size_t bytes = RP_MIB(4); /* sanitizers want much */
    uint8_t *stack = mmap(NULL, bytes + RP_PAGE_BYTES, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(stack + bytes, RP_PAGE_BYTES, PROT_NONE);
    pthread_attr_init(&attributes);
    ck_assert_int_eq(pthread_attr_setstack(&attributes, stack, bytes), 0);
    ck_assert_int_eq(pthread_create(&thread, &attributes, descend_in_thread, NULL), 0);
    pthread_join(thread, NULL);
    check_descent();
    pthread_attr_destroy(&attributes);
    munmap(stack, bytes + RP_PAGE_BYTES);
}

static void descend_on_stack(void *unused)
{
    (void)unused;
    descend(DEPTH);
}

TEST(a_stack_in_the_region_is_followed_within_its_block)
{
    open_region();
    size_t bytes = RP_KIB(128);
    uint8_t *stack = rp_region_block_alloc(RP_ZONE_WORLD, bytes, RP_BLOCK_PAGES, 0,
                                           RP_BLOCK_GUARD_BEFORE | RP_BLOCK_GUARD_AFTER);
    rp_region_block block;
    ck_assert(rp_region_block_find(stack, &block));
    rp_os_call_on_stack((uint8_t *)block.start + block.size_bytes, descend_on_stack, NULL);
    check_descent();
}

static ucontext_t outside, coroutine;

static void descend_in_coroutine(void)
{
    descend(DEPTH);
}

TEST(a_coroutine_on_mapped_memory_is_followed_up_to_an_unreadable_page)
{
    open_region();
    size_t bytes = RP_KIB(64);
    uint8_t *stack = mmap(NULL, bytes + RP_PAGE_BYTES, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(stack + bytes, RP_PAGE_BYTES, PROT_NONE);
    getcontext(&coroutine);
    coroutine.uc_stack.ss_sp = stack;
    coroutine.uc_stack.ss_size = bytes;
    coroutine.uc_link = &outside;
    makecontext(&coroutine, descend_in_coroutine, 0);
    swapcontext(&outside, &coroutine);
    check_descent();
    munmap(stack, bytes + RP_PAGE_BYTES);
}

static void descend_in_handler(int signal_number)
{
    (void)signal_number;
    descend(DEPTH);
}

TEST(a_handler_on_an_alternate_stack_is_followed)
{
    open_region();
    size_t bytes = RP_KIB(64);
    stack_t stack = {.ss_sp = malloc(bytes), .ss_size = bytes};
    ck_assert_int_eq(sigaltstack(&stack, NULL), 0);
    struct sigaction action = {.sa_handler = descend_in_handler, .sa_flags = SA_ONSTACK};
    sigaction(SIGUSR1, &action, NULL);
    raise(SIGUSR1);
    check_descent();
    stack.ss_flags = SS_DISABLE;
    sigaltstack(&stack, NULL);
    free(stack.ss_sp);
}

/* ---- without frame pointers ---- */

/* Calls `function` with the frame pointer holding `junk`, as code without frame pointers may. */
__attribute__((noinline)) static void call_with_junk(void (*function)(void), uintptr_t junk)
{
    __asm__ volatile("pushq %%rbp\n\t"
                     "pushq %%rbp\n\t"
                     "movq %1, %%rbp\n\t"
                     "callq *%0\n\t"
                     "popq %%rbp\n\t"
                     "popq %%rbp\n\t"
                     :
                     : "r"(function), "r"(junk)
                     : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory", "cc",
                       "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7");
}

TEST(junk_in_the_frame_pointer_ends_the_stack_and_nothing_faults)
{
    open_region();
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    void *hole = mmap(NULL, RP_PAGE_BYTES * 2, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const uintptr_t junk[] = {0,
                              1,
                              8,
                              16,
                              UINTPTR_MAX,
                              UINTPTR_MAX - 7,
                              UINTPTR_MAX - 15,
                              (uintptr_t)hole,
                              (uintptr_t)hole + RP_PAGE_BYTES - 8,
                              here + 1,
                              here + 4,
                              UINT64_C(0x8000000000000000),
                              RP_REGION_BASE,
                              RP_REGION_BASE + RP_GIB(100),
                              here - 64,
                              UINT64_C(0x00007fffffffeff8)};
    for (size_t i = 0; i < RP_COUNT_OF(junk); i++) {
        found_count = 0;
        call_with_junk(take, junk[i]);
        ck_assert_uint_ge(found_count, 1);
        ck_assert_uint_le(found_count, RP_TRACE_STACK_MOST);
    }
    munmap(hole, RP_PAGE_BYTES * 2);
}

TEST(random_junk_in_the_frame_pointer_never_faults)
{
    open_region();
    uint64_t random = test_seed();
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    for (int i = 0; i < 20000; i++) {
        uintptr_t near = here + test_random(&random) % RP_MIB(1) - RP_KIB(512);
        call_with_junk(take, i % 2 ? near & ~(uintptr_t)7 : (uintptr_t)test_random(&random));
        ck_assert_uint_ge(found_count, 1);
    }
}

/* Compiled without frame pointers: it neither saves the register nor sets it. */
int without_frame_pointer(void (*function)(void));
__asm__(".text\n"
        ".type without_frame_pointer, @function\n"
        "without_frame_pointer:\n"
        "    subq $24, %rsp\n"
        "    call *%rdi\n"
        "    addq $24, %rsp\n"
        "    movl $2, %eax\n"
        "    ret\n"
        ".size without_frame_pointer, . - without_frame_pointer\n");

TEST(a_function_without_a_frame_is_missing_and_those_around_it_are_not)
{
    open_region();
    ck_assert_int_eq(without_frame_pointer(take), 2);
    uintptr_t function = (uintptr_t)without_frame_pointer;
    ck_assert(found[0] > function && found[0] < function + 32);
    ck_assert_uint_ge(found_count, 2);
    uintptr_t outer = (uintptr_t)__builtin_return_address(0);
    bool outer_found = false; /* this test's own return address: the frame around it is whole */
    for (size_t i = 1; i < found_count; i++) {
        outer_found = outer_found || found[i] == outer;
    }
    ck_assert(outer_found);
}

/* ---- limits of the system ---- */

static void *walk_without_descriptors(void *unused)
{
    struct rlimit none = {0, 0}, before;
    getrlimit(RLIMIT_NOFILE, &before);
    none.rlim_max = before.rlim_max;
    setrlimit(RLIMIT_NOFILE, &none);
    descend(DEPTH);
    setrlimit(RLIMIT_NOFILE, &before);
    return unused;
}

TEST(where_the_limits_cannot_be_read_each_page_is_asked_for)
{
    open_region();
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, walk_without_descriptors, NULL), 0);
    pthread_join(thread, NULL);
    check_descent();
}

TEST(finding_the_limits_keeps_errno)
{
    open_region();
    errno = 77;
    descend(DEPTH);
    ck_assert_int_eq(errno, 77);
}
