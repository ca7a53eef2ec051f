/* Three tiers of assertions, for programmers' errors only: files, the system and the user's module
 * are never asserted on.
 *
 *   RP_ASSERT        cheap, always on
 *   RP_ASSERT_DEBUG  on without NDEBUG
 *   RP_ASSERT_SLOW   walks structures; on with RP_SLOW_CHECKS
 *
 * Layer: base.
 */
#ifndef RP_BASE_ASSERT_H
#define RP_BASE_ASSERT_H

/* Writes one line to standard error and aborts. Safe in a signal handler and without a heap. */
_Noreturn void rp_assert_failed(const char *expression, const char *file, int line);

#define RP_ASSERT(x) ((x) ? (void)0 : rp_assert_failed(#x, __FILE__, __LINE__))
#ifdef NDEBUG
#define RP_ASSERT_DEBUG(x) ((void)sizeof(x))
#else
#define RP_ASSERT_DEBUG(x) RP_ASSERT(x)
#endif
#ifdef RP_SLOW_CHECKS
#define RP_ASSERT_SLOW(x) RP_ASSERT(x)
#else
#define RP_ASSERT_SLOW(x) ((void)sizeof(x))
#endif

#endif
