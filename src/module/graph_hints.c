/* Former names of members, from RP_WAS of <reprise/types.h>. Layer: module.
 *
 * The section holds texts in threes: type, member, old name. Linkers put zeros between records. */
#include "module/graph.h"

#include <string.h>

/* The next text that is not empty; null: there is none that ends within the section. */
static const char *next_text(const char **at, const char *end)
{
    while (*at < end && !**at) {
        (*at)++;
    }
    size_t left = (size_t)(end - *at), length = strnlen(*at, left);
    if (!left || length == left) {
        return NULL;
    }
    const char *text = *at;
    *at += length + 1;
    return text;
}

static uint32_t scan(const char *at, const char *end, graph_hint *hints)
{
    uint32_t count = 0;
    for (;; count++) {
        graph_hint hint;
        hint.type = next_text(&at, end);
        hint.member = hint.type ? next_text(&at, end) : NULL;
        hint.was = hint.member ? next_text(&at, end) : NULL;
        if (!hint.was) {
            return count;
        }
        hint.type = rp_graph_bare_name(hint.type);
        if (hints) {
            hints[count] = hint;
        }
    }
}

void rp_graph_read_hints(type_graph *graph)
{
    elf_file *file = elf_file_of(graph->elf);
    Elf_Data *data = file->was ? elf_getdata(file->was, NULL) : NULL;
    if (!data || !data->d_buf || !data->d_size) {
        return;
    }
    const char *at = data->d_buf, *end = at + data->d_size;
    uint32_t count = scan(at, end, NULL);
    graph->hints = count ? rp_arena_take(graph->arena, count, sizeof *graph->hints) : NULL;
    graph->hint_count = graph->hints ? scan(at, end, graph->hints) : 0;
}

static void add_name(graph_member *member, const char *was)
{
    for (int i = 0; i < GRAPH_WAS_MOST; i++) {
        if (!member->was[i]) {
            member->was[i] = was;
            return;
        }
    }
}

void rp_graph_apply_hints(type_graph *graph, graph_node *node)
{
    for (uint32_t i = 0; i < graph->hint_count; i++) {
        const graph_hint *hint = &graph->hints[i];
        if (strcmp(hint->type, node->name) != 0) {
            continue;
        }
        for (uint32_t k = 0; k < node->member_count; k++) {
            if (strcmp(node->members[k].name, hint->member) == 0) {
                add_name(&node->members[k], hint->was);
            }
        }
    }
}
