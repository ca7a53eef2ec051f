/* SHA-256 (FIPS 180-4), where somebody may try to make two things look alike. For finding damage
 * and equal pages XXH3 is thirty times as fast.
 *
 * Layer: base.  Threads: none.  Tests: tests/base/test_sha256.c
 */
#ifndef RP_BASE_SHA256_H
#define RP_BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>

enum { RP_SHA256_BYTES = 32 };

/* Cost: some 5 ns a byte. */
void rp_sha256(const void *bytes, size_t size_bytes, uint8_t digest[RP_SHA256_BYTES]);

#endif
