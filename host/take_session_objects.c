/* Libraries and builds that lie elsewhere in this process, or are others. See take_session.h.
 *
 * Two processes are made alike (docs/internals/host.md), so mostly there is nothing to do. It is
 * different where something loads a library of its own into every process, on a kernel that lays
 * out memory in another way, and where a library was updated. */
#include "session_internal.h"
#include "take_session_internal.h"

#include <base/bits.h>
#include <base/error.h>
#include <base/text.h>
#include <region/region.h>
#include <stdio.h>
#include <string.h>

static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static const rp_take_object *object_list(const take_session *t)
{
    return (const rp_take_object *)(const void *)t->objects.data;
}

/* ---- words ---- */

static const take_move *move_of(const take_session *t, uint64_t word)
{
    for (size_t i = 0; i < t->move_count; i++) {
        if (word >= t->moves[i].low && word < t->moves[i].high) {
            return &t->moves[i];
        }
    }
    return NULL;
}

size_t take_words_move(const take_session *t, const uint8_t *content, uint8_t *moved)
{
    size_t count = 0;
    for (size_t at = 0; at < RP_PAGE_BYTES; at += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, content + at, sizeof word);
        const take_move *move = word ? move_of(t, word) : NULL;
        if (!move) {
            continue;
        }
        if (!count++) {
            memcpy(moved, content, RP_PAGE_BYTES);
        }
        word += move->distance;
        memcpy(moved + at, &word, sizeof word);
    }
    return count;
}

static rp_status move_add(take_session *t, const char *name, uint64_t low, uint64_t high,
                          uint64_t distance)
{
    if (!distance || high <= low) {
        return RP_OK;
    }
    if (t->move_count == TAKE_SESSION_MOVES_MOST) {
        return rp_fail(RP_E_LIMIT, "%s: too many libraries lie elsewhere here", t->file->path);
    }
    take_move *move = &t->moves[t->move_count++];
    *move = (take_move){.low = low, .high = high, .distance = distance};
    rp_text_copy(move->name, sizeof move->name, name);
    return RP_OK;
}

static bool is_range_of(const link_range *range, const rp_take_object *object)
{
    return range->build == 0 && range->start >= object->low && range->start < object->high;
}

static bool is_page_of(const session *s, uint32_t page, const rp_take_object *object)
{
    for (uint32_t i = 0; page >= RP_PAGE_EXTRA && i < s->known_count; i++) {
        const link_range *range = &s->known[i];
        if (is_range_of(range, object) && page >= range->first_page &&
            page - range->first_page <=
                (range->start % RP_PAGE_BYTES + range->size_bytes - 1) / RP_PAGE_BYTES) {
            return true;
        }
    }
    return false;
}

/* Of the state that is opened: words that lead into an object from elsewhere, and in `within` those
 * of its own variables that hold anything but zeros and addresses of its own. */
static uint64_t words_into(const take_session *t, const rp_take_object *object, uint64_t *within)
{
    size_t cursor = 0;
    uint32_t page;
    const uint8_t *content;
    uint64_t count = 0;
    *within = 0;
    while (rp_take_state_next(t->state, &cursor, &page, &content)) {
        bool own = is_page_of(t->session, page, object);
        for (size_t at = 0; at < RP_PAGE_BYTES; at += sizeof(uint64_t)) {
            uint64_t word;
            memcpy(&word, content + at, sizeof word);
            bool leads = word >= object->low && word < object->high;
            count += leads && !own;
            *within += own && word && !leads;
        }
    }
    return count;
}

/* ---- libraries ---- */

static const link_object *object_here(const process *p, const char *path)
{
    const char *name = file_name(path);
    uint32_t count = p->link->object_count;
    for (uint32_t i = 0; i < count && i < LINK_OBJECT_MAX; i++) {
        const link_object *object = &p->link->objects[i];
        if (!object->build && memchr(object->path, 0, sizeof object->path) &&
            strcmp(file_name(object->path), name) == 0) {
            return object;
        }
    }
    return NULL;
}

static bool is_same(const rp_take_object *there, const link_object *here)
{
    uint32_t bytes = there->id_bytes;
    if (!bytes || bytes > sizeof there->id || here->build_id_bytes != bytes) {
        return !bytes && !here->build_id_bytes &&
               there->high - there->low == here->high - here->low;
    }
    return memcmp(there->id, here->build_id, bytes) == 0;
}

/* Its variables are taken as they are here: nothing used it. */
static void ranges_forget(take_session *t, const rp_take_object *object)
{
    session *s = t->session;
    for (uint32_t i = 0; i < s->known_count;) {
        if (is_range_of(&s->known[i], object)) {
            s->known[i] = s->known[--s->known_count];
            t->forgot = true;
        } else {
            i++;
        }
    }
}

static uint64_t thread_bytes(const take_session *t, uint64_t tls_address)
{
    const session *s = t->session;
    for (uint32_t i = 0; tls_address && i < s->known_count; i++) {
        if (s->known[i].start == tls_address) {
            return s->known[i].size_bytes;
        }
    }
    return 0;
}

static void note(take_session *t, const char *name, const char *what)
{
    rp_text_buffer text = rp_text_buffer_over(t->notes, sizeof t->notes);
    text.length = strlen(t->notes);
    rp_text_add(&text, "%.64s: %s\n", name, what);
}

/* Another library than then, or none: of matter where the state knows of it. */
static rp_status changed_take(take_session *t, const rp_take_object *there, bool missing)
{
    char name[64];
    rp_text_copy(name, sizeof name, file_name(there->path));
    take_file_plain(name);
    const char *what = missing ? "is not loaded here" : "is another version here";
    uint64_t within, words = words_into(t, there, &within);
    if (within) {
        return rp_fail(RP_E_CHANGED,
                       "%s: %s %s, and the take holds its variables: install the version that the "
                       "take was made with (reprise info --records tells its build id), or keep "
                       "it out of the state with --keep-lib when recording",
                       t->file->path, name, what);
    }
    if (words) {
        return rp_fail(RP_E_CHANGED,
                       "%s: %s %s, and %llu words of the state lead into it: install the version "
                       "that the take was made with (reprise info --records tells its build id)",
                       t->file->path, name, what, (unsigned long long)words);
    }
    ranges_forget(t, there);
    note(t, name,
         missing ? "not loaded here; nothing of the state leads into it"
                 : "another version here; nothing of the state leads into it");
    return RP_OK;
}

static rp_status library_compare(take_session *t, const rp_take_object *there, const process *p,
                                 bool all_loaded)
{
    const link_object *here = object_here(p, there->path);
    if (!here || !is_same(there, here)) {
        return here || all_loaded ? changed_take(t, there, !here) : RP_OK;
    }
    uint64_t thread = thread_bytes(t, there->tls_address);
    rp_status status = RP_OK;
    if (all_loaded) {
        status =
            move_add(t, file_name(there->path), there->low, there->high, here->base - there->base);
    }
    if (!status && all_loaded && thread && here->tls_address) {
        status = move_add(t, file_name(there->path), there->tls_address,
                          there->tls_address + thread, here->tls_address - there->tls_address);
    }
    return status;
}

static bool is_kernels(const rp_take_object *object)
{
    return strncmp(file_name(object->path), "linux-vdso", sizeof "linux-vdso" - 1) == 0 ||
           !object->path[0];
}

static rp_status libraries_compare(take_session *t, const process *p, bool all_loaded)
{
    rp_status status = RP_OK;
    for (size_t i = 0; !status && i < t->object_count; i++) {
        const rp_take_object *object = &object_list(t)[i];
        if (!object->build && !is_kernels(object)) {
            status = library_compare(t, object, p, all_loaded);
        }
    }
    return status;
}

/* ---- builds ---- */

/* A build that was linked to a place of its own lies there in every process. */
static bool has_its_own_place(const session_build *build)
{
    return build->low >= RP_MODULE_BASE && build->elf->low == build->low;
}

static rp_status build_settle(take_session *t, uint32_t number, bool compared)
{
    session *s = t->session;
    session_build was = *session_build_at(s, number);
    if (has_its_own_place(&was) && !compared) {
        return RP_OK;
    }
    rp_status status = session_build_place(s, number);
    if (!status && compared) {
        status = libraries_compare(t, &s->spare, true);
    }
    const session_build *is = session_build_at(s, number);
    uint64_t thread = thread_bytes(t, was.tls_address);
    if (!status) {
        status = move_add(t, "module", was.low, was.high, is->base - was.base);
    }
    if (!status && thread && is->tls_address) {
        status = move_add(t, "module", was.tls_address, was.tls_address + thread,
                          is->tls_address - was.tls_address);
    }
    process_end(&s->spare); /* it has a build and no state */
    return status;
}

static void ranges_move(take_session *t)
{
    session *s = t->session;
    for (uint32_t i = 0; i < s->known_count; i++) {
        const take_move *move = move_of(t, s->known[i].start);
        s->known[i].start += move ? move->distance : 0;
    }
}

rp_status take_objects_settle(take_session *t, uint64_t index)
{
    session *s = t->session;
    const rp_take_index_frame *frame = rp_take_frame_at(t->file->take, index);
    uint32_t build = frame ? take_session_build(t, frame->build) : 0;
    if (!build) {
        return rp_fail(RP_E_NOT_FOUND,
                       "%s: frame record %llu was made by a build that is not in it", t->file->path,
                       (unsigned long long)index);
    }
    rp_status status = rp_take_state_seek(t->state, index);
    status = status ? status : session_spare_prepare(s);
    status = status ? status : libraries_compare(t, &s->spare, false); /* before code of the take */
    for (uint32_t i = 1; !status && i <= s->build_count; i++) {
        status = build_settle(t, i, i == build);
    }
    if (!status) {
        ranges_move(t);
    }
    return status;
}

rp_status take_objects_check(const take_session *t)
{
    const process *p = &t->session->live;
    for (size_t i = 0; i < t->object_count; i++) {
        const rp_take_object *there = &object_list(t)[i];
        const link_object *here = there->build ? NULL : object_here(p, there->path);
        if (!here || is_kernels(there) || !is_same(there, here)) {
            continue;
        }
        const take_move *move = move_of(t, there->low);
        if (here->base != there->base + (move ? move->distance : 0)) {
            return rp_fail(RP_E_TAKEN,
                           "%s: %.64s comes to another place in each process here: allow the "
                           "runner to turn address randomisation off (personality(2))",
                           t->file->path, file_name(here->path));
        }
    }
    return RP_OK;
}
