#!/bin/sh
# Makes three links of a module of some 40 MB with its debug information: FOLDER/large_{0,1,2}.so.
# 0 and 1 differ in a number, 2 has one more field in a struct of which objects live.
#
# As in a program of many files the same structs are described once for each file: one object is compiled and
# its copies get names of their own, which takes seconds and not a minute.
# Called by bench_host as: large_build.sh FOLDER INCLUDE
set -eu
folder=$1 include=$2 copies=10
cd "$folder"
awk 'BEGIN {
    for (i = 0; i < 4000; i++) {
        printf "struct item_%d { int kind, count; float x, y, z; struct item_%d *next; const char *name; ", i, i
        printf "double weights_%d[%d]; struct { short a, b; long c; } inner; unsigned flag : 3, mode : 5; };\n", i, i % 7 + 1
        printf "static int total_%d; struct item_%d *list_%d;\n", i, i, i
        printf "int visit_%d(struct item_%d *item, int depth) { int sum = 0; ", i, i
        printf "for (int k = 0; k < depth; k++) { double part = item->weights_%d[0] * k; sum += (int)part + item->count; } ", i
        printf "total_%d += sum; return item->next ? visit_%d(item->next, depth - 1) : sum; }\n", i, i
    }
}' >large.c
cc -g -O0 -fPIC -c large.c -o large.o
parts=large.o
i=1
while [ $i -lt $copies ]; do
    objcopy --prefix-symbols="c${i}_" large.o "large$i.o"
    parts="$parts large$i.o"
    i=$((i + 1))
done
cat >main.c <<'SOURCE'
#include <reprise/reprise.h>
#include <stdlib.h>
struct live { int a; FIELD int b; struct live *next; };
static struct live *first;
int number = NUMBER;
void rp_module_start(rp_stage *stage)
{
    (void)stage;
    for (int i = 0; i < 1000; i++) {
        struct live *made = calloc(1, sizeof *made);
        made->a = i;
        made->b = -i;
        made->next = first;
        first = made;
    }
}
void rp_module_step(rp_stage *stage)
{
    int i = 1000;
    for (struct live *at = first; at; at = at->next) {
        i--;
        if (at->a != i || at->b != -i) {
            abort();
        }
    }
    first->a += (int)stage->frame * 0 + number * 0;
}
SOURCE
link() { # NUMBER FIELD
    cc -g -O0 -fPIC -I"$include" -DNUMBER="$1" -DFIELD="$2" -c main.c -o main.o
    # shellcheck disable=SC2086
    cc -shared -Wl,-zmuldefs -o "large_$1.so" main.o $parts
}
link 0 ''
link 1 ''
link 2 'double added;'
rm -f large*.o main.o
