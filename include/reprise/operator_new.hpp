/* The operators new and delete of the whole program, over the generic allocator of the world.
 *
 *     #define RP_REPLACE_OPERATOR_NEW         in exactly one source
 *     #include <reprise/reprise.hpp>
 *
 * All forms: single and array, sized, aligned, nothrow; the new handler is called as the standard
 * says. What is made before the region is open (by constructors of global objects), or where it
 * cannot be, comes from malloc and is told apart by its address when it is deleted.
 *
 * Under `reprise run` and the preload library this is not needed: new is theirs already.
 *
 * Layer: above alloc; header only.  Threads: any.  Tests: tests/cxx/
 */
#ifndef REPRISE_OPERATOR_NEW_HPP
#define REPRISE_OPERATOR_NEW_HPP

#include <cstdint>
#include <reprise/reprise.hpp>

namespace rp
{
namespace detail
{

/* The region's place is the same in every process: docs/internals/region.md. */
constexpr std::uintptr_t region_start = 0x550000000000;
constexpr std::uintptr_t region_reserve_bytes = std::uintptr_t(256) << 30;

inline bool in_region(const void *block) noexcept
{
    return reinterpret_cast<std::uintptr_t>(block) - region_start < region_reserve_bytes;
}

inline void *system_alloc(std::size_t size_bytes, std::size_t align_bytes) noexcept
{
    void *block = nullptr;
    if (align_bytes <= plain_align) {
        return std::malloc(size_bytes ? size_bytes : 1);
    }
    return posix_memalign(&block, align_bytes, size_bytes) == 0 ? block : nullptr;
}

inline void *new_once(std::size_t size_bytes, std::size_t align_bytes) noexcept
{
    rp_allocator *generic = rp_generic(RP_ZONE_WORLD);
    return generic ? try_alloc(generic, size_bytes, align_bytes, "operator new")
                   : system_alloc(size_bytes, align_bytes);
}

/* [new.delete.single]: tries, lets the new handler make room, and tries again. */
inline void *new_or_throw(std::size_t size_bytes, std::size_t align_bytes = plain_align)
{
    for (;;) {
        void *block = new_once(size_bytes, align_bytes);
        if (block) {
            return block;
        }
        std::new_handler handler = std::get_new_handler();
        if (!handler) {
            throw_error(out_of_memory());
        }
        handler();
    }
}

/* A new handler may end the search by an exception, of whatever type. */
inline void *new_or_null(std::size_t size_bytes, std::size_t align_bytes = plain_align) noexcept
{
#if defined(__cpp_exceptions)
    try {
        return new_or_throw(size_bytes, align_bytes);
    } catch (...) {
        return nullptr;
    }
#else
    return new_once(size_bytes, align_bytes);
#endif
}

/* The destructors of global objects run when the region may be closed, and their blocks gone. */
inline bool region_is_open() noexcept
{
    return rp_generic(RP_ZONE_WORLD) != nullptr;
}

inline void delete_block(void *block) noexcept
{
    if (!in_region(block)) {
        std::free(block);
    } else if (region_is_open()) {
        rp_free(block);
    }
}

inline void delete_sized(void *block, std::size_t size_bytes) noexcept
{
    if (!in_region(block)) {
        std::free(block);
    } else if (region_is_open()) {
        rp_free_sized(block, size_bytes);
    }
}

inline std::size_t bytes(std::align_val_t align) noexcept
{
    return static_cast<std::size_t>(align);
}

} // namespace detail
} // namespace rp

void *operator new(std::size_t size_bytes)
{
    return rp::detail::new_or_throw(size_bytes);
}
void *operator new[](std::size_t size_bytes)
{
    return rp::detail::new_or_throw(size_bytes);
}
void *operator new(std::size_t size_bytes, std::align_val_t align)
{
    return rp::detail::new_or_throw(size_bytes, rp::detail::bytes(align));
}
void *operator new[](std::size_t size_bytes, std::align_val_t align)
{
    return rp::detail::new_or_throw(size_bytes, rp::detail::bytes(align));
}
void *operator new(std::size_t size_bytes, const std::nothrow_t &) noexcept
{
    return rp::detail::new_or_null(size_bytes);
}
void *operator new[](std::size_t size_bytes, const std::nothrow_t &) noexcept
{
    return rp::detail::new_or_null(size_bytes);
}
void *operator new(std::size_t size_bytes, std::align_val_t align, const std::nothrow_t &) noexcept
{
    return rp::detail::new_or_null(size_bytes, rp::detail::bytes(align));
}
void *operator new[](std::size_t size_bytes, std::align_val_t align,
                     const std::nothrow_t &) noexcept
{
    return rp::detail::new_or_null(size_bytes, rp::detail::bytes(align));
}

void operator delete(void *block) noexcept
{
    rp::detail::delete_block(block);
}
void operator delete[](void *block) noexcept
{
    rp::detail::delete_block(block);
}
void operator delete(void *block, std::size_t size_bytes) noexcept
{
    rp::detail::delete_sized(block, size_bytes);
}
void operator delete[](void *block, std::size_t size_bytes) noexcept
{
    rp::detail::delete_sized(block, size_bytes);
}
void operator delete(void *block, std::align_val_t) noexcept
{
    rp::detail::delete_block(block);
}
void operator delete[](void *block, std::align_val_t) noexcept
{
    rp::detail::delete_block(block);
}
void operator delete(void *block, std::size_t size_bytes, std::align_val_t) noexcept
{
    rp::detail::delete_sized(block, size_bytes);
}
void operator delete[](void *block, std::size_t size_bytes, std::align_val_t) noexcept
{
    rp::detail::delete_sized(block, size_bytes);
}
void operator delete(void *block, const std::nothrow_t &) noexcept
{
    rp::detail::delete_block(block);
}
void operator delete[](void *block, const std::nothrow_t &) noexcept
{
    rp::detail::delete_block(block);
}
void operator delete(void *block, std::align_val_t, const std::nothrow_t &) noexcept
{
    rp::detail::delete_block(block);
}
void operator delete[](void *block, std::align_val_t, const std::nothrow_t &) noexcept
{
    rp::detail::delete_block(block);
}

#endif
