/* Unwinding a stack that is only a copy: libdwfl reads registers and memory through us. */
#include "symbols_unwind.h"

#include "base/bits.h"

#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#define STACK_END_FUNCTION "rp_os_call_on_stack"
enum { REGISTER_RBP = 6, REGISTER_RSP = 7, REGISTER_RIP = 16, THREAD_ID = 1 };

typedef struct unwinding {
    Dwfl *dwfl;
    const link_crash *crash;
    Dwarf_Word registers[LINK_REGISTER_COUNT];
    symbols_call *calls;
    int count, capacity;
    bool begun; /* the one thread was given out */
    bool ended; /* the end of the module's stack was reached */
} unwinding;

/* ---- memory --------------------------------------------------------------------------------- */

static bool read_stack(const link_crash *crash, uint64_t address, uint64_t *word)
{
    uint64_t offset = address - crash->stack_start;
    uint64_t size = rp_min_size(crash->stack_bytes, LINK_STACK_COPY_BYTES);
    if (address < crash->stack_start || size < sizeof *word || offset > size - sizeof *word) {
        return false;
    }
    memcpy(word, crash->stack + offset, sizeof *word);
    return true;
}

/* Data that no program can have changed may be read from the file. */
static bool read_file(Dwfl *dwfl, uint64_t address, uint64_t *word)
{
    GElf_Addr bias;
    Elf *elf = dwfl_module_getelf(dwfl_addrmodule(dwfl, address), &bias);
    size_t count = 0;
    if (!elf || elf_getphdrnum(elf, &count) < 0) {
        return false;
    }
    uint64_t at = address - bias;
    for (size_t i = 0; i < count; i++) {
        GElf_Phdr segment;
        if (!gelf_getphdr(elf, (int)i, &segment) || segment.p_type != PT_LOAD ||
            (segment.p_flags & PF_W) || at < segment.p_vaddr || segment.p_filesz < sizeof *word ||
            at - segment.p_vaddr > segment.p_filesz - sizeof *word) {
            continue;
        }
        int64_t offset = (int64_t)(segment.p_offset + (at - segment.p_vaddr));
        const Elf_Data *data = elf_getdata_rawchunk(elf, offset, sizeof *word, ELF_T_BYTE);
        if (data && data->d_buf && data->d_size == sizeof *word) {
            memcpy(word, data->d_buf, sizeof *word);
            return true;
        }
    }
    return false;
}

/* ---- libdwfl's questions -------------------------------------------------------------------- */

static pid_t next_thread(Dwfl *dwfl, void *context, void **thread)
{
    (void)dwfl;
    unwinding *u = context;
    *thread = u;
    pid_t id = u->begun ? 0 : THREAD_ID;
    u->begun = true;
    return id;
}

static bool memory_read(Dwfl *dwfl, Dwarf_Addr address, Dwarf_Word *word, void *context)
{
    const unwinding *u = context;
    uint64_t value;
    if (!read_stack(u->crash, address, &value) && !read_file(dwfl, address, &value)) {
        return false;
    }
    *word = value;
    return true;
}

static bool set_initial_registers(Dwfl_Thread *thread, void *context)
{
    const unwinding *u = context;
    return dwfl_thread_state_registers(thread, 0, LINK_REGISTER_COUNT, u->registers);
}

static const Dwfl_Thread_Callbacks callbacks = {
    .next_thread = next_thread,
    .memory_read = memory_read,
    .set_initial_registers = set_initial_registers,
};

/* ---- collecting ----------------------------------------------------------------------------- */

/* False: enough. */
static bool add_call(unwinding *u, uint64_t address, bool exact)
{
    uint64_t inside = exact ? address : address - 1;
    const char *name = dwfl_module_addrname(dwfl_addrmodule(u->dwfl, inside), inside);
    if (name && !strcmp(name, STACK_END_FUNCTION)) {
        u->ended = true;
        return false;
    }
    if (u->count < u->capacity) {
        u->calls[u->count++] = (symbols_call){.address = address, .exact = exact};
    }
    return u->count < u->capacity;
}

static int take_frame(Dwfl_Frame *frame, void *context)
{
    unwinding *u = context;
    Dwarf_Addr address;
    bool exact;
    if (!dwfl_frame_pc(frame, &address, &exact) || !address) {
        return DWARF_CB_ABORT;
    }
    return add_call(u, address, exact) ? DWARF_CB_OK : DWARF_CB_ABORT;
}

/* A call through a bad pointer has pushed its return address and nothing else. */
static void return_from_nowhere(unwinding *u)
{
    uint64_t caller;
    if (dwfl_addrmodule(u->dwfl, u->registers[REGISTER_RIP]) ||
        !read_stack(u->crash, u->registers[REGISTER_RSP], &caller) ||
        !dwfl_addrmodule(u->dwfl, caller)) {
        return;
    }
    add_call(u, u->registers[REGISTER_RIP], true);
    u->registers[REGISTER_RIP] =
        caller - 1; /* inside the call, as the first frame is taken as it is */
    u->registers[REGISTER_RSP] += sizeof caller;
}

/* The chain of frame pointers: each lies above the one before. */
static void walk_frame_pointers(unwinding *u)
{
    uint64_t frame = u->registers[REGISTER_RBP], next, caller;
    bool more = add_call(u, u->registers[REGISTER_RIP], true);
    while (more && read_stack(u->crash, frame, &next) && read_stack(u->crash, frame + 8, &caller) &&
           caller) {
        more = add_call(u, caller, false) && next > frame;
        frame = next;
    }
}

int symbols_unwind(Dwfl *dwfl, const link_crash *crash, symbols_call *calls, int capacity)
{
    unwinding u = {.dwfl = dwfl, .crash = crash, .calls = calls, .capacity = capacity};
    for (int i = 0; i < LINK_REGISTER_COUNT; i++) {
        u.registers[i] = crash->registers[i];
    }
    return_from_nowhere(&u);
    int before = u.count;
    if (dwfl_attach_state(dwfl, NULL, THREAD_ID, &callbacks, &u)) {
        dwfl_getthread_frames(dwfl, THREAD_ID, take_frame, &u);
    }
    if (!u.ended && u.count <= before + 1) {
        u.count = before;
        walk_frame_pointers(&u);
    }
    return u.count;
}
