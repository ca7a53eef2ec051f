/* Figures: glibc's calls for them. */
#include "preload/preload.h"

#include <limits.h>
#include <malloc.h>

static rp_alloc_stats figures(rp_region_stats *region)
{
    rp_alloc_stats stats = {0};
    *region = (rp_region_stats){0};
    if (preload_allocator()) {
        rp_stats_get(preload_world, &stats);
        rp_region_stats_get(RP_ZONE_WORLD, region);
    }
    return stats;
}

/* ordblks and the others that count glibc's lists stay 0: there are no such lists here. */
struct mallinfo2 mallinfo2(void)
{
    rp_region_stats region;
    rp_alloc_stats stats = figures(&region);
    return (struct mallinfo2){
        .arena = stats.taken_bytes,
        .uordblks = stats.live_bytes,
        .fordblks = stats.taken_bytes - rp_min_size(stats.live_bytes, stats.taken_bytes),
        .usmblks = stats.peak_bytes,
        .keepcost = region.free_bytes,
    };
}

static int cut(size_t figure)
{
    return figure < INT_MAX ? (int)figure : INT_MAX;
}

/* glibc's wraps around beyond 2 GiB; this one stops there. */
struct mallinfo mallinfo(void)
{
    struct mallinfo2 wide = mallinfo2();
    return (struct mallinfo){
        .arena = cut(wide.arena),
        .uordblks = cut(wide.uordblks),
        .fordblks = cut(wide.fordblks),
        .usmblks = cut(wide.usmblks),
        .keepcost = cut(wide.keepcost),
    };
}

void malloc_stats(void)
{
    rp_region_stats region;
    rp_alloc_stats stats = figures(&region);
    fprintf(stderr,
            "reprise: malloc: %llu blocks of %llu bytes live, %llu at most, %llu taken, %llu free "
            "in the region, %llu committed\n",
            (unsigned long long)stats.live_count, (unsigned long long)stats.live_bytes,
            (unsigned long long)stats.peak_bytes, (unsigned long long)stats.taken_bytes,
            (unsigned long long)region.free_bytes, (unsigned long long)region.committed_bytes);
}

int malloc_info(int options, FILE *file)
{
    if (options != 0) {
        errno = EINVAL;
        return -1;
    }
    rp_region_stats region;
    rp_alloc_stats stats = figures(&region);
    int written =
        fprintf(file,
                "<malloc version=\"reprise-1\">\n"
                "<blocks live=\"%llu\" bytes=\"%llu\" peak=\"%llu\"/>\n"
                "<system taken=\"%llu\" free=\"%llu\" committed=\"%llu\" reserved=\"%llu\"/>\n"
                "</malloc>\n",
                (unsigned long long)stats.live_count, (unsigned long long)stats.live_bytes,
                (unsigned long long)stats.peak_bytes, (unsigned long long)stats.taken_bytes,
                (unsigned long long)region.free_bytes, (unsigned long long)region.committed_bytes,
                (unsigned long long)region.reserve_bytes);
    return written < 0 ? -1 : 0;
}

/* `keep_bytes` says how much free memory may stay at the top of glibc's heap; there is no top here.
 */
int malloc_trim(size_t keep_bytes)
{
    (void)keep_bytes;
    if (!preload_allocator()) {
        int (*theirs)(size_t);
        *(void **)&theirs = next_function("malloc_trim");
        return theirs ? theirs(keep_bytes) : 0;
    }
    rp_region_stats region;
    figures(&region);
    rp_region_purge(RP_ZONE_WORLD);
    return region.free_bytes > 0;
}

/* glibc's parameters have no meaning here; they are accepted, so that programs go on. */
int mallopt(int parameter, int value)
{
    (void)parameter, (void)value;
    return 1;
}
