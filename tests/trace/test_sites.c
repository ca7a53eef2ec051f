/* Texts of places: interned, copied, compared. */
#include "region/region.h"
#include "support/snapshot.h"
#include "support/test.h"
#include "trace/trace.h"

#include <pthread.h>
#include <stdio.h>

enum { THREADS = 4, TEXTS = 500 };

static void open_region(void)
{
    ck_ok(rp_region_create(&(rp_region_desc){0}));
}

TEST(the_same_text_has_the_same_id_wherever_it_stands)
{
    open_region();
    char one[] = "solver.c:12 Body", other[] = "solver.c:12 Body";
    uint32_t id = rp_trace_site(RP_ZONE_WORLD, one);
    ck_assert_uint_ne(id, 0);
    ck_assert_uint_eq(rp_trace_site(RP_ZONE_WORLD, other), id);
    ck_assert_uint_eq(rp_trace_site(RP_ZONE_WORLD, one), id);
    ck_assert_str_eq(rp_trace_site_text(RP_ZONE_WORLD, id), one);
}

TEST(a_text_that_changes_under_the_same_address_is_another_site)
{
    open_region();
    char text[] = "solver.c:12 Body";
    uint32_t id = rp_trace_site(RP_ZONE_WORLD, text);
    strcpy(text, "solver.c:13 Body");
    uint32_t changed = rp_trace_site(RP_ZONE_WORLD, text);
    ck_assert_uint_ne(changed, id);
    ck_assert_str_eq(rp_trace_site_text(RP_ZONE_WORLD, id), "solver.c:12 Body");
    ck_assert_str_eq(rp_trace_site_text(RP_ZONE_WORLD, changed), "solver.c:13 Body");
    strcpy(text, "solver.c:1");
    ck_assert_uint_ne(rp_trace_site(RP_ZONE_WORLD, text), changed);
}

TEST(null_and_unknown_ids_are_no_site)
{
    ck_assert_uint_eq(rp_trace_site(RP_ZONE_WORLD, "closed.c:1"), 0);
    ck_assert_str_eq(rp_trace_site_text(RP_ZONE_WORLD, 5), "");
    open_region();
    ck_assert_uint_eq(rp_trace_site(RP_ZONE_WORLD, NULL), 0);
    ck_assert_str_eq(rp_trace_site_text(RP_ZONE_WORLD, 0), "");
    ck_assert_str_eq(rp_trace_site_text(RP_ZONE_WORLD, 1), "");
    rp_trace_site(RP_ZONE_WORLD, "a.c:1");
    ck_assert_str_eq(rp_trace_site_text(RP_ZONE_WORLD, UINT32_MAX), "");
    ck_assert_str_eq(rp_trace_site_text(RP_ZONE_WORLD, 1u << 24), "");
}

TEST(a_text_longer_than_any_is_cut_and_found_again)
{
    open_region();
    char text[2000];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = 0;
    uint32_t id = rp_trace_site(RP_ZONE_WORLD, text);
    ck_assert_uint_ne(id, 0);
    ck_assert_uint_eq(rp_trace_site(RP_ZONE_WORLD, text), id);
    ck_assert_uint_eq(strlen(rp_trace_site_text(RP_ZONE_WORLD, id)), 511);
    ck_assert_uint_ne(rp_trace_site(RP_ZONE_WORLD, ""), 0);
}

TEST(each_zone_has_its_own_sites)
{
    open_region();
    rp_trace_site(RP_ZONE_KEEP, "first.c:1");
    uint32_t world = rp_trace_site(RP_ZONE_WORLD, "second.c:1");
    uint32_t keep = rp_trace_site(RP_ZONE_KEEP, "second.c:1");
    ck_assert_str_eq(rp_trace_site_text(RP_ZONE_WORLD, world), "second.c:1");
    ck_assert_str_eq(rp_trace_site_text(RP_ZONE_KEEP, keep), "second.c:1");
    ck_assert_str_ne(rp_trace_site_text(RP_ZONE_KEEP, world), "second.c:1");
}

static void *intern_many(void *context)
{
    uint32_t *ids = context;
    char text[64];
    for (int i = 0; i < TEXTS; i++) {
        snprintf(text, sizeof text, "file%d.c:%d", i % 7, i);
        ids[i] = rp_trace_site(RP_ZONE_WORLD, text);
    }
    return NULL;
}

TEST(threads_that_meet_the_same_texts_agree_on_their_ids)
{
    open_region();
    static uint32_t ids[THREADS][TEXTS];
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, intern_many, ids[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        ck_assert_mem_eq(ids[i], ids[0], sizeof ids[0]);
    }
    for (int i = 1; i < TEXTS; i++) {
        ck_assert_uint_ne(ids[0][i], ids[0][i - 1]);
    }
}

TEST(a_restore_brings_back_the_sites_of_its_moment)
{
    open_region();
    uint32_t before = rp_trace_site(RP_ZONE_WORLD, "before.c:1");
    snapshot then = snapshot_take();
    rp_trace_site(RP_ZONE_WORLD, "after.c:1");
    snapshot_restore(&then);
    ck_assert_str_eq(rp_trace_site_text(RP_ZONE_WORLD, before), "before.c:1");
    uint32_t anew = rp_trace_site(RP_ZONE_WORLD, "other.c:1");
    ck_assert_str_eq(rp_trace_site_text(RP_ZONE_WORLD, anew), "other.c:1");
    ck_assert_uint_eq(rp_trace_site(RP_ZONE_WORLD, "before.c:1"), before);
    snapshot_drop(&then);
}

TEST(a_full_table_gives_no_id_and_keeps_what_it_has)
{
    open_region();
    char text[500];
    memset(text, 'y', sizeof text);
    uint32_t first = rp_trace_site(RP_ZONE_WORLD, "first.c:1"), last = 1;
    for (int i = 0; i < 20000 && last; i++) {
        snprintf(text, 16, "%015d", i);
        text[15] = 'y';
        text[sizeof text - 1] = 0;
        last = rp_trace_site(RP_ZONE_WORLD, text);
    }
    ck_assert_uint_eq(last, 0);
    ck_assert_uint_eq(rp_trace_site(RP_ZONE_WORLD, "first.c:1"), first);
}

TEST(a_call_without_a_text_is_known_by_its_address)
{
    open_region();
    const void *here = (const void *)(uintptr_t)&open_region;
    uint32_t id = rp_trace_code_site(RP_ZONE_WORLD, here);
    ck_assert_uint_ne(id, 0);
    ck_assert_uint_eq(rp_trace_code_site(RP_ZONE_WORLD, here), id);
    ck_assert_uint_ne(rp_trace_code_site(RP_ZONE_WORLD, (const char *)here + 1), id);
    ck_assert_uint_eq(rp_trace_code_site(RP_ZONE_WORLD, NULL), 0);
    char raw[64], name[RP_TRACE_SITE_BYTES];
    snprintf(raw, sizeof raw, "{@%llx}", (unsigned long long)(uintptr_t)here);
    ck_assert_str_eq(rp_trace_site_text(RP_ZONE_WORLD, id), raw);
    ck_assert_ptr_nonnull(strstr(rp_trace_site_name(RP_ZONE_WORLD, id, name, sizeof name), "+0x"));
    uint32_t text = rp_trace_site(RP_ZONE_WORLD, raw); /* the same text, and yet another site */
    ck_assert_uint_ne(text, id);
    ck_assert_str_eq(rp_trace_site_name(RP_ZONE_WORLD, text, name, sizeof name), raw);
    ck_assert_str_eq(rp_trace_site_name(RP_ZONE_WORLD, 0, name, sizeof name), "");
}
