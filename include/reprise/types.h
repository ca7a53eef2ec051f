/* What a module says about its types and variables, for the next build.
 *
 *     RP_WAS(struct Enemy, health, "hp");      the member `health` was called "hp" before: a reload
 *                                              keeps its value. At file scope, beside the struct.
 *     RP_TWEAK(float, jump, 9.0f);             static float jump = 9.0f; and where that number is
 *                                              edited, the new one is in effect at once
 *
 * Both are read from the module's file by the host; neither costs anything while the program runs.
 * RP_WAS may stay for as long as one likes: it counts only while the build before has the old name.
 * `reprise ctl reset NAME` brings the initial value of any variable.
 *
 * Layer: module.  Guide: docs/types.md  Tests: tests/module/test_edits.c
 */
#ifndef REPRISE_TYPES_H
#define REPRISE_TYPES_H

#define RP_TYPES_PASTE_(a, b) a##b
#define RP_TYPES_NAME_(front, number) RP_TYPES_PASTE_(front, number)

/* The sections by which the host finds them. */
#define RP_WAS_SECTION "rp_was"
#define RP_TWEAK_SECTION "rp_tweak"

/* C has no place for a remark on a member that every compiler writes into the debug information, so
 * it stands at file scope and names the type. `Type`: a struct, class or union, as one would write
 * it in a declaration. */
#define RP_WAS(Type, member, old_name)                               \
    static const char RP_TYPES_NAME_(rp_was_, __COUNTER__)[]         \
        __attribute__((section(RP_WAS_SECTION), used, aligned(1))) = \
            #Type "\0" #member "\0" old_name

#define RP_TWEAK(Type, name, value) \
    static Type name __attribute__((section(RP_TWEAK_SECTION))) = value

#endif
