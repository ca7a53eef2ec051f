/* Keeping the registers and the stack of a crash (x86-64). */
#include "crash_capture.h"

#include "base/bits.h"
#include "os/os.h"

#include <ucontext.h>

/* A leaf function may use the 128 bytes below the stack pointer (System V ABI, 3.2.2). */
#define RED_ZONE_BYTES 128
/* How far a function's frame may reach into a guard: more is no stack. */
#define GUARD_MAX_BYTES RP_MIB(1)

/* Which register of the ucontext has which number in DWARF (System V ABI, figure 3.36). */
static const int registers[LINK_REGISTER_COUNT] = {
    REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI, REG_RBP, REG_RSP, REG_R8,
    REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15, REG_RIP};

/* Not memcpy: a sanitizer's would object to the gaps that it keeps between a frame's variables. */
static void copy_bytes(void *to, uint64_t from, size_t size_bytes)
{
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size_bytes) : : "memory");
}

static uint64_t first_readable(uint64_t address)
{
    for (uint64_t skipped = 0; skipped <= GUARD_MAX_BYTES; skipped += RP_PAGE_BYTES) {
        if (rp_os_vm_readable((const void *)address, 1)) {
            return address;
        }
        address = rp_align_down(address, RP_PAGE_BYTES) + RP_PAGE_BYTES;
    }
    return 0;
}

static void capture_stack(link_crash *to, uint64_t stack_pointer)
{
    uint64_t at = first_readable(rp_align_down(stack_pointer - RED_ZONE_BYTES, sizeof(uint64_t)));
    to->stack_start = at;
    to->stack_bytes = 0;
    while (at && to->stack_bytes < LINK_STACK_COPY_BYTES &&
           rp_os_vm_readable((const void *)at, 1)) {
        size_t left = LINK_STACK_COPY_BYTES - to->stack_bytes;
        size_t run = rp_min_size(RP_PAGE_BYTES - at % RP_PAGE_BYTES, left);
        copy_bytes(to->stack + to->stack_bytes, at, run);
        to->stack_bytes += (uint32_t)run;
        at += run;
    }
}

void crash_capture(link_crash *to, const void *ucontext)
{
    const ucontext_t *context = ucontext;
    for (int i = 0; i < LINK_REGISTER_COUNT; i++) {
        to->registers[i] = (uint64_t)context->uc_mcontext.gregs[registers[i]];
    }
    capture_stack(to, (uint64_t)context->uc_mcontext.gregs[REG_RSP]);
}
